"""What calls of CloudWatch, Logs, IAM and other services need."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from localaws.core import Call
from localaws.iam.matching import as_list
from localaws.iam.needs import Known, Need, Needs, Values, action_of, arn, request_tags
from localaws.iam.needs_sagemaker import sagemaker
from localaws.records import ACCOUNT_ID


def _logs(call: Call, known: Known) -> list[Need]:
    params, action = call.params, action_of(call)
    context = request_tags(params.get("tags"))
    if params.get("resourceArn"):
        return [Need(action=action, resource=params["resourceArn"], context=context)]
    group = params.get("logGroupName") or str(params.get("logGroupIdentifier") or "")
    if not group:
        groups = as_list(params.get("logGroupNames"))
        return [_log_need(action, one, "", known, context) for one in groups or [""]]
    if group.startswith("arn:"):
        group = group.split(":log-group:")[1].split(":")[0]
    return [_log_need(action, group, params.get("logStreamName") or "", known, context)]


def _log_need(action: str, group: str, stream: str, known: Known, context: Values) -> Need:
    # CloudWatch Logs asks for a group with an empty stream after it.
    resource = arn("logs", known.region, f"log-group:{group}:log-stream:{stream}")
    return Need(action=action, resource=resource, context=context)


def _cloudwatch(call: Call, known: Known) -> list[Need]:
    params, action = call.params, action_of(call)
    if call.operation == "PutMetricData":
        namespace = str(params.get("Namespace", ""))
        return [Need(action=action, context={"cloudwatch:namespace": [namespace]})]
    names = as_list(params.get("AlarmNames") or params.get("AlarmName"))
    if names:
        return [
            Need(action=action, resource=arn("cloudwatch", known.region, f"alarm:{name}"))
            for name in names
        ]
    dashboards = as_list(params.get("DashboardNames") or params.get("DashboardName"))
    if dashboards:
        return [
            Need(action=action, resource=f"arn:aws:cloudwatch::{ACCOUNT_ID}:dashboard/{name}")
            for name in dashboards
        ]
    everything = "alarm:*" if call.operation == "DescribeAlarms" else None
    found = params.get("ResourceARN") or (
        everything and arn("cloudwatch", known.region, everything)
    )
    return [Need(action=action, resource=found or "*")]


_IAM_NAMES = {
    "GroupName": "group",
    "InstanceProfileName": "instance-profile",
    "RoleName": "role",
    "UserName": "user",
}


# Calls that change what a role may do; they are asked for the boundary that it has.
_IAM_BOUNDED = (
    "AttachRolePolicy",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePolicy",
)


def _iam(call: Call, known: Known) -> list[Need]:
    params, action = call.params, action_of(call)
    context = request_tags(params.get("Tags"))
    boundary = params.get("PermissionsBoundary")
    if call.operation in _IAM_BOUNDED:
        boundary = known.boundary_of(str(params["RoleName"]))
    if boundary:
        context["iam:permissionsboundary"] = [boundary]
    if call.operation.startswith(("Attach", "Detach")) and params.get("PolicyArn"):
        context["iam:policyarn"] = [params["PolicyArn"]]
    for member, kind in _IAM_NAMES.items():
        if params.get(member):
            name = str(params.get("Path") or "/") + str(params[member])
            resource = f"arn:aws:iam::{ACCOUNT_ID}:{kind}{name}"
            return [Need(action=action, resource=resource, context=context)]
    if call.operation == "CreatePolicy":
        name = str(params.get("Path") or "/") + str(params.get("PolicyName"))
        resource = f"arn:aws:iam::{ACCOUNT_ID}:policy{name}"
        return [Need(action=action, resource=resource, context=context)]
    return [Need(action=action, resource=params.get("PolicyArn") or "*", context=context)]


def _sts(call: Call, _: Known) -> list[Need]:
    # Who am I is never refused; assuming a role is also up to the role's trust policy.
    if call.operation in ("GetCallerIdentity", "GetSessionToken"):
        return []
    resource = call.params.get("RoleArn") or "*"
    context = request_tags(call.params.get("Tags"))
    if call.params.get("ExternalId"):
        context["sts:externalid"] = [call.params["ExternalId"]]
    context["sts:rolesessionname"] = [str(call.params.get("RoleSessionName", ""))]
    return [Need(action=action_of(call), resource=resource, context=context)]


def _named_by(*members: str, pattern: str) -> Needs:
    """Calls that name one thing, by its ARN or by a name that `pattern` completes."""

    def needs(call: Call, known: Known) -> list[Need]:
        context = request_tags(call.params.get("Tags"))
        for member in members:
            name = call.params.get(member)
            if name:
                text = str(name)
                resource = (
                    text
                    if text.startswith("arn:")
                    else pattern.format(region=known.region, account=ACCOUNT_ID, name=text)
                )
                return [Need(action=action_of(call), resource=resource, context=context)]
        return [Need(action=action_of(call), context=context)]

    return needs


def _budgets(call: Call, _: Known) -> list[Need]:
    if call.params.get("ResourceARN"):
        return [Need(action=action_of(call), resource=call.params["ResourceARN"])]
    given = call.params.get("Budget") or call.params.get("NewBudget") or {}
    name = call.params.get("BudgetName") or given.get("BudgetName")
    reads = call.operation.startswith(("Describe", "List"))
    action = "budgets:ViewBudget" if reads else "budgets:ModifyBudget"
    resource = f"arn:aws:budgets::{ACCOUNT_ID}:budget/{name}" if name else "*"
    tags = request_tags(call.params.get("ResourceTags"))
    tagging = [Need(action="budgets:TagResource", resource=resource, context=tags)] if tags else []
    return [Need(action=action, resource=resource), *tagging]


def _application_autoscaling(call: Call, known: Known) -> list[Need]:
    context = request_tags(call.params.get("Tags"))
    for member, key in (
        ("ServiceNamespace", "application-autoscaling:service-namespace"),
        ("ScalableDimension", "application-autoscaling:scalable-dimension"),
    ):
        if call.params.get(member):
            context[key] = [call.params[member]]
    if call.operation.startswith("Describe"):
        return [Need(action=action_of(call))]
    resource = call.params.get("ResourceARN")
    resource = resource or arn("application-autoscaling", known.region, "scalable-target/*")
    return [Need(action=action_of(call), resource=resource, context=context)]


def _sqs(call: Call, known: Known) -> list[Need]:
    url = str(call.params.get("QueueUrl") or call.params.get("QueueName") or "")
    name = url.rpartition("/")[2]
    context = request_tags(call.params.get("tags"))
    resource = arn("sqs", known.region, name) if name else "*"
    return [Need(action=action_of(call), resource=resource, context=context)]


def _apigatewayv2(call: Call, known: Known) -> list[Need]:
    """API Gateway's actions are HTTP methods, its resources paths."""
    from moto.core.utils import get_service_model

    http = get_service_model(call.service).operation_model(call.operation).http
    path = str(http["requestUri"]).removeprefix("/v2")
    for name, value in call.params.items():
        written = quote(str(value), safe="")
        path = path.replace("{" + name[0].lower() + name[1:] + "}", written)
    own = Need(
        action=f"apigateway:{http['method']}",
        resource=f"arn:aws:apigateway:{known.region}::{path}",
        context=request_tags(call.params.get("Tags")),
    )
    if not call.params.get("AccessLogSettings"):
        return [own]
    # Its caller sets the delivery of an access log up.
    setting_up = ("logs:CreateLogDelivery", "logs:PutResourcePolicy")
    return [own, *(Need(action=action) for action in setting_up)]


def _ecr(call: Call, known: Known) -> list[Need]:
    params, action, context = call.params, action_of(call), request_tags(call.params.get("tags"))
    if params.get("resourceArn"):
        return [Need(action=action, resource=str(params["resourceArn"]), context=context)]
    # AWS's own images lie in accounts of AWS.
    registry = params.get("registryId") or ACCOUNT_ID
    names = as_list(params.get("repositoryNames") or params.get("repositoryName"))
    resources = [f"arn:aws:ecr:{known.region}:{registry}:repository/{name}" for name in names]
    return [Need(action=action, resource=one, context=context) for one in resources or ["*"]]


def _codebuild(call: Call, known: Known) -> list[Need]:
    # Builds are their project's: `<project>:<number>`.
    params = call.params
    given = params.get("names") or params.get("ids") or params.get("name") or params.get("id")
    names = [
        str(one).rpartition("/")[2].partition(":")[0]
        for one in as_list(given or params.get("projectName"))
    ]
    context = _lower_tags(params.get("tags"))
    return [
        Need(
            action=action_of(call),
            resource=arn("codebuild", known.region, f"project/{name}"),
            context=context,
        )
        for name in names
    ] or [Need(action=action_of(call))]


def _lower_tags(tags: Any) -> Values:
    """Condition keys of tags that are listed with `key` and `value`."""
    return request_tags([{"Key": tag["key"], "Value": tag.get("value", "")} for tag in tags or ()])


_KMS = "arn:aws:kms:{region}:{account}:key/{name}"
_SNS = "arn:aws:sns:{region}:{account}:{name}"

NEEDS: Mapping[str, Needs] = {
    "apigatewayv2": _apigatewayv2,
    "application-autoscaling": _application_autoscaling,
    "budgets": _budgets,
    "cloudwatch": _cloudwatch,
    "codebuild": _codebuild,
    "ecr": _ecr,
    "execute-api": lambda *_: [],  # each route says whom it lets in; see apis/part.py
    "iam": _iam,
    "kms": _named_by("KeyId", pattern=_KMS),
    "logs": _logs,
    "sagemaker": sagemaker,
    "sagemaker-runtime": sagemaker,
    "sns": _named_by("TopicArn", "TargetArn", "ResourceArn", "Name", pattern=_SNS),
    "sqs": _sqs,
    "sts": _sts,
}
