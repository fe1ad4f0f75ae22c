"""What calls of EC2, Systems Manager and Lambda need."""

from collections.abc import Mapping
from typing import Any

from localaws.core import Call
from localaws.iam.matching import as_list
from localaws.iam.needs import Known, Need, Needs, Values, action_of, arn, request_tags, tag_context

# Parameters that name EC2 resources, and the type of resource in their ARN.
_EC2_IDS = {
    "AllocationId": "elastic-ip",
    "GroupId": "security-group",
    "GroupIds": "security-group",
    "Groups": "security-group",
    "InstanceId": "instance",
    "InstanceIds": "instance",
    "InternetGatewayId": "internet-gateway",
    "LaunchTemplateId": "launch-template",
    "NetworkInterfaceId": "network-interface",
    "RouteTableId": "route-table",
    "SecurityGroupRuleIds": "security-group-rule",
    "SnapshotId": "snapshot",
    "SubnetId": "subnet",
    "VolumeId": "volume",
    "VpcEndpointIds": "vpc-endpoint",
    "VpcId": "vpc",
}
_EC2_TYPES = {
    "ami": "image",
    "eni": "network-interface",
    "i": "instance",
    "lt": "launch-template",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}


# What a call makes, by the type in its ARN.
_EC2_MADE = {
    "AuthorizeSecurityGroupEgress": "security-group-rule",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "CreateLaunchTemplate": "launch-template",
    "CreateNetworkInterface": "network-interface",
    "CreateRouteTable": "route-table",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVpc": "vpc",
    "CreateVpcEndpoint": "vpc-endpoint",
}
# The few calls that look at one resource and are scoped to it.
_EC2_SCOPED_READS = ("DescribeInstanceAttribute", "DescribeVpcAttribute", "GetInstanceUefiData")


def _ec2(call: Call, known: Known) -> list[Need]:
    params, action = call.params, action_of(call)
    reads = call.operation.startswith(("Describe", "Get", "Search"))
    if reads and call.operation not in _EC2_SCOPED_READS:
        return [Need(action=action)]
    if call.operation == "RunInstances":
        return _run_instances(params, known)
    if call.operation in ("CreateTags", "DeleteTags"):
        ids = as_list(params.get("Resources"))
        given = request_tags(params.get("Tags"))
        return [_ec2_need(action, _type_of(one), one, known, given) for one in ids]
    used = dict(params)
    if call.operation.startswith("RevokeSecurityGroup"):
        used.pop("SecurityGroupRuleIds", None)
    if call.operation == "DisassociateRouteTable":
        used["RouteTableId"] = known.route_table(str(params.get("AssociationId")))
    found = [
        _ec2_need(action, kind, one, known, {})
        for member, kind in _EC2_IDS.items()
        for one in as_list(used.get(member))
    ]
    made = _EC2_MADE.get(call.operation)
    if made:
        found += _made(call, action, made, known)
    return found or [Need(action=action)]


def _made(call: Call, action: str, kind: str, known: Known) -> list[Need]:
    """What it takes to make something, and to tag it in the same call."""
    resource = arn("ec2", known.region, f"{kind}/*")
    tags = _specified_tags(call.params)
    needs = [Need(action=action, resource=resource, context={**tags, "ec2:region": [known.region]})]
    if tags:
        context = {**tags, "ec2:createaction": [call.operation]}
        needs.append(Need(action="ec2:CreateTags", resource=resource, context=context))
    return needs


def _type_of(resource_id: str) -> str:
    return _EC2_TYPES.get(resource_id.split("-", maxsplit=1)[0], "*")


def _ec2_need(action: str, kind: str, one: str, known: Known, context: Values) -> Need:
    tags = known.tags("ec2", one)
    return Need(
        action=action,
        resource=arn("ec2", known.region, f"{kind}/{one}"),
        context={
            **context,
            **tag_context("ec2:resourcetag/", tags),
            **tag_context("aws:resourcetag/", tags),
            "ec2:region": [known.region],
        },
    )


def _specified_tags(params: Mapping[str, Any]) -> Values:
    tags = [
        tag for one in as_list(params.get("TagSpecifications")) for tag in as_list(one.get("Tags"))
    ]
    return request_tags(tags or params.get("Tags"))


def _run_instances(params: Mapping[str, Any], known: Known) -> list[Need]:
    """Each resource that takes part is asked for by itself."""
    action = "ec2:RunInstances"
    template = params.get("LaunchTemplate") or {}
    merged = {**known.launch_template(template), **params}
    common: Values = {"ec2:region": [known.region]}
    if merged.get("InstanceType"):
        common["ec2:instancetype"] = [merged["InstanceType"]]
    market = (merged.get("InstanceMarketOptions") or {}).get("MarketType")
    common["ec2:instancemarkettype"] = [market or "on-demand"]
    tokens = (merged.get("MetadataOptions") or {}).get("HttpTokens")
    if tokens:
        common["ec2:metadatahttptokens"] = [tokens]
    template_id = template.get("LaunchTemplateId")
    if template_id:
        common["ec2:launchtemplate"] = [arn("ec2", known.region, f"launch-template/{template_id}")]
    tags = {
        kind: _launch_tags(kind, known.launch_template(template), params)
        for kind in ("instance", "network-interface", "volume")
    }
    new = [
        Need(
            action=action,
            resource=arn("ec2", known.region, f"{kind}/*"),
            context=common | request_tags(given),
        )
        for kind, given in tags.items()
    ]
    interfaces = as_list(merged.get("NetworkInterfaces"))
    groups = as_list(merged.get("SecurityGroupIds"))
    groups += [group for one in interfaces for group in as_list(one.get("Groups"))]
    subnets = [merged.get("SubnetId"), *(one.get("SubnetId") for one in interfaces)]
    ids = [merged.get("ImageId"), template_id, *groups, *subnets]
    used = [_ec2_need(action, _type_of(one), one, known, common) for one in ids if one]
    images = [
        Need(action=n.action, resource=f"arn:aws:ec2:{known.region}::image/{merged['ImageId']}")
        if ":image/" in n.resource
        else n
        for n in used
    ]
    tagging = [
        Need(
            action="ec2:CreateTags",
            resource=arn("ec2", known.region, f"{kind}/*"),
            context={**request_tags(given), "ec2:createaction": ["RunInstances"]},
        )
        for kind, given in tags.items()
        if given
    ]
    return [*new, *images, *tagging]


def _launch_tags(kind: str, *sources: Mapping[str, Any]) -> dict[str, str]:
    """The tags that one kind of resource gets from the template and from the call."""
    return {
        str(tag["Key"]): str(tag.get("Value", ""))
        for source in sources
        for one in as_list(source.get("TagSpecifications"))
        if one.get("ResourceType") == kind
        for tag in as_list(one.get("Tags"))
    }


def _ssm(call: Call, known: Known) -> list[Need]:
    params, action = call.params, action_of(call)
    if call.operation == "SendCommand":
        document = str(params.get("DocumentName", ""))
        owner = "" if document.startswith("AWS-") else arn("ssm", "", "").split(":")[4]
        document_arn = f"arn:aws:ssm:{known.region}:{owner}:document/{document}"
        instances = as_list(params.get("InstanceIds")) or ["*"]
        return [
            Need(action=action, resource=document_arn),
            *(_tagged_instance(action, one, known) for one in instances),
        ]
    if call.operation == "UpdateInstanceInformation":
        return [_tagged_instance(action, str(params.get("InstanceId")), known)]
    names = as_list(params.get("Names")) + as_list(params.get("Name") or params.get("Path"))
    if "Parameter" in call.operation and names and not call.operation.startswith("Describe"):
        return [
            Need(action=action, resource=_parameter_arn(known.region, str(name).removesuffix("/")))
            for name in names
        ]
    return [Need(action=action)]


def _parameter_arn(region: str, name: str) -> str:
    own = arn("ssm", region, f"parameter/{name.lstrip('/')}")
    # AWS's public parameters belong to no account.
    return own.replace(f":{own.split(':')[4]}:", "::", 1) if name.startswith("/aws/") else own


def _tagged_instance(action: str, instance_id: str, known: Known) -> Need:
    tags = known.tags("ec2", instance_id)
    context = tag_context("ssm:resourcetag/", tags) | tag_context("aws:resourcetag/", tags)
    resource = arn("ec2", known.region, f"instance/{instance_id}")
    return Need(action=action, resource=resource, context=context)


def _mapping(call: Call, known: Known) -> Need:
    """Calls about event source mappings; whose function an existing one has is asked elsewhere."""
    params, context = call.params, request_tags(call.params.get("Tags"))
    if params.get("UUID"):
        resource = arn("lambda", known.region, f"event-source-mapping:{params['UUID']}")
        return Need(action=action_of(call), resource=resource, context=context)
    name = str(params.get("FunctionName") or "")
    if name and call.operation == "CreateEventSourceMapping":
        path = name.rpartition(":function:")[2]
        context["lambda:functionarn"] = [arn("lambda", known.region, f"function:{path}")]
    return Need(action=action_of(call), context=context)


def _lambda(call: Call, known: Known) -> list[Need]:
    params = call.params
    if "EventSourceMapping" in call.operation:
        return [_mapping(call, known)]
    name = params.get("FunctionName")
    action = {"Invoke": "lambda:InvokeFunction"}.get(call.operation, action_of(call))
    context = request_tags(params.get("Tags"))
    if name is None:
        resource = str(params.get("Resource") or "*")
        return [Need(action=action, resource=resource, context=context)]
    if str(name).startswith("arn:"):
        resource = str(name)
    else:
        resource = arn("lambda", known.region, f"function:{str(name).rpartition(':function:')[2]}")
    qualifier = params.get("Qualifier")
    if qualifier and not resource.endswith(f":{qualifier}"):
        resource += f":{qualifier}"
    context["lambda:functionarn"] = [resource]
    if call.operation == "InvokeFunctionUrl":
        return [
            Need(action=action, resource=resource, context=context),
            Need(
                action="lambda:InvokeFunction",
                resource=resource,
                context=context | {"lambda:invokedviafunctionurl": ["true"]},
            ),
        ]
    return [Need(action=action, resource=resource, context=context)]


NEEDS: Mapping[str, Needs] = {"ec2": _ec2, "lambda": _lambda, "ssm": _ssm}
