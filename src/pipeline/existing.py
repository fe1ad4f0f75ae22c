"""Finds things in an account by what a plan of Terraform says of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from pipeline.aws import Account, error_code, pages
from pipeline.instances import EXISTING

Values = Mapping[str, Any]
Tags = Mapping[str, str]
ABSENT = frozenset(
    {
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "InvalidLaunchTemplateName.NotFoundException",
        "LifecyclePolicyNotFoundException",
        "NoSuchEntity",
        "NoSuchTagSet",
        "NotFoundException",
        "RepositoryNotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "ValidationException",
    }
)
"""How services say that there is no such thing; SageMaker calls it a ValidationException."""


@dataclass(frozen=True, slots=True)
class Found:
    """A thing that is there already."""

    id: str
    """As `terraform import` wants it."""
    tags: Tags | None
    """`None` for a part of a thing, which has none of its own."""


Finder = Callable[[Account, Values], Found | None]


def find_existing(account: Account, kind: str, values: Values) -> Found | None:
    """The thing of a Terraform type that a plan would make, if it is there already."""
    finder = FINDERS.get(kind)
    if finder is None:
        return None
    try:
        return finder(account, values)
    except KeyError:  # it will belong to a thing that is not there
        return None
    except ClientError as error:
        if error_code(error) in ABSENT:
            return None
        raise


def _tags(listed: Sequence[Mapping[str, str]]) -> Tags:
    """Tags as most services list them."""
    return {tag["Key"]: tag["Value"] for tag in listed}


def _role(account: Account, values: Values) -> Found:
    role = account.client("iam").get_role(RoleName=values["name"])["Role"]
    return Found(values["name"], _tags(role.get("Tags", [])))


def _instance_profile(account: Account, values: Values) -> Found:
    found = account.client("iam").get_instance_profile(InstanceProfileName=values["name"])
    return Found(values["name"], _tags(found["InstanceProfile"].get("Tags", [])))


def _bucket(account: Account, values: Values) -> Found:
    s3 = account.client("s3")
    s3.head_bucket(Bucket=values["bucket"])
    try:
        tags = _tags(s3.get_bucket_tagging(Bucket=values["bucket"])["TagSet"])
    except ClientError as error:
        if error_code(error) not in ABSENT:
            raise
        # Its tags come by a second call. The name holds this account's number.
        return Found(values["bucket"], None)
    return Found(values["bucket"], tags)


def _log_group(account: Account, values: Values) -> Found | None:
    logs = account.client("logs")
    groups = pages(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=values["name"])
    if values["name"] not in {group["logGroupName"] for group in groups}:
        return None
    return Found(values["name"], logs.list_tags_log_group(logGroupName=values["name"])["tags"])


def _sagemaker(operation: str, argument: str, arn: str) -> Finder:
    """Finder for a thing of SageMaker, by its name."""

    def find(account: Account, values: Values) -> Found:
        sagemaker = account.client("sagemaker")
        found = getattr(sagemaker, operation)(**{argument: values["name"]})
        tags = sagemaker.list_tags(ResourceArn=found[arn])["Tags"]
        return Found(values["name"], _tags(tags))

    return find


def _lifecycle_config(account: Account, values: Values) -> Found:
    account.client("sagemaker").describe_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=values["name"]
    )
    return Found(values["name"], None)


def _function(account: Account, values: Values) -> Found:
    name = values["function_name"]
    return Found(name, account.client("lambda").get_function(FunctionName=name).get("Tags", {}))


def _alias(account: Account, values: Values) -> Found:
    function, name = values["function_name"], values["name"]
    account.client("lambda").get_alias(FunctionName=function, Name=name)
    return Found(f"{function}/{name}", None)


def _function_url(account: Account, values: Values) -> Found:
    function, alias = values["function_name"], values["qualifier"]
    account.client("lambda").get_function_url_config(FunctionName=function, Qualifier=alias)
    return Found(f"{function}/{alias}", None)


def _mapping(account: Account, values: Values) -> Found | None:
    lambda_ = account.client("lambda")
    listed = lambda_.list_event_source_mappings(
        EventSourceArn=values["event_source_arn"], FunctionName=values["function_name"]
    )["EventSourceMappings"]
    if not listed:
        return None
    tags = lambda_.list_tags(Resource=listed[0]["EventSourceMappingArn"])["Tags"]
    return Found(listed[0]["UUID"], tags)


def _permission(account: Account, values: Values) -> Found | None:
    function, alias, name = values["function_name"], values["qualifier"], values["statement_id"]
    where = {"FunctionName": function} | ({"Qualifier": alias} if alias else {})
    policy = account.client("lambda").get_policy(**where)["Policy"]
    if f'"{name}"' not in policy:
        return None
    return Found(f"{function}:{alias}/{name}" if alias else f"{function}/{name}", None)


def _launch_template(account: Account, values: Values) -> Found:
    (found,) = account.client("ec2").describe_launch_templates(
        LaunchTemplateNames=[values["name"]]
    )["LaunchTemplates"]
    return Found(found["LaunchTemplateId"], _tags(found.get("Tags", [])))


def _instance(account: Account, values: Values) -> Found | None:
    reservations = pages(
        account.client("ec2"), "describe_instances", "Reservations",
        Filters=[
            {"Name": "tag:Name", "Values": [values["tags"]["Name"]]},
            {"Name": "instance-state-name", "Values": EXISTING},
        ],
    )  # fmt: skip
    for instance in (i for r in reservations for i in r["Instances"]):
        # The instances of runs bear the name too; they are launched by the pipeline.
        tags = _tags(instance["Tags"])
        if tags == {**values["tags_all"], **_given_by_aws(tags)}:
            return Found(instance["InstanceId"], tags)
    return None


def _given_by_aws(tags: Tags) -> Tags:
    return {name: value for name, value in tags.items() if name.startswith("aws:")}


def _tagged(resource_type: str) -> Finder:
    """Finder for a thing of EC2 that has no name of its own, by its tags."""

    def find(account: Account, values: Values) -> Found | None:
        ec2 = account.client("ec2")
        wanted = values["tags_all"]
        ids = [
            {
                tag["ResourceId"]
                for tag in pages(
                    ec2, "describe_tags", "Tags",
                    Filters=[
                        {"Name": "resource-type", "Values": [resource_type]},
                        {"Name": "key", "Values": [name]},
                        {"Name": "value", "Values": [value]},
                    ],
                )
            }
            for name, value in wanted.items()
        ]  # fmt: skip
        both = set.intersection(*ids) if "Name" in wanted else set()
        return Found(min(both), wanted) if both else None

    return find


def _group_rule(*, egress: bool) -> Finder:
    """Finder for a rule of a security group, by what it says of itself."""

    def find(account: Account, values: Values) -> Found | None:
        rules = pages(
            account.client("ec2"), "describe_security_group_rules", "SecurityGroupRules",
            Filters=[{"Name": "group-id", "Values": [values["security_group_id"]]}],
        )  # fmt: skip
        for rule in rules:
            if (rule["IsEgress"], rule.get("Description")) == (egress, values["description"]):
                return Found(rule["SecurityGroupRuleId"], None)
        return None

    return find


def _api(account: Account, values: Values) -> Found | None:
    for api in account.client("apigatewayv2").get_apis()["Items"]:
        if api["Name"] == values["name"]:
            return Found(api["ApiId"], api.get("Tags", {}))
    return None


def _api_stage(account: Account, values: Values) -> Found:
    api, name = values["api_id"], values["name"]
    account.client("apigatewayv2").get_stage(ApiId=api, StageName=name)
    return Found(f"{api}/{name}", None)


def _api_part(operation: str, field: str, *same: tuple[str, str]) -> Finder:
    """Finder for a route or an integration, by the fields that must be the same."""

    def find(account: Account, values: Values) -> Found | None:
        listed = getattr(account.client("apigatewayv2"), operation)(ApiId=values["api_id"])
        for part in listed["Items"]:
            if all(part.get(theirs) == values[ours] for ours, theirs in same):
                return Found(f"{values['api_id']}/{part[field]}", None)
        return None

    return find


def _queue(account: Account, values: Values) -> Found:
    sqs = account.client("sqs")
    url = sqs.get_queue_url(QueueName=values["name"])["QueueUrl"]
    return Found(url, sqs.list_queue_tags(QueueUrl=url).get("Tags", {}))


def _budget(account: Account, values: Values) -> Found:
    owner, name = account.account_id(), values["name"]
    account.client("budgets").describe_budget(AccountId=owner, BudgetName=name)
    return Found(f"{owner}:{name}", None)


def _build_project(account: Account, values: Values) -> Found | None:
    projects = account.client("codebuild").batch_get_projects(names=[values["name"]])["projects"]
    if not projects:
        return None
    tags = {tag["key"]: tag["value"] for tag in projects[0].get("tags", [])}
    return Found(projects[0]["arn"], tags)


def _repository(account: Account, values: Values) -> Found:
    ecr = account.client("ecr")
    (found,) = ecr.describe_repositories(repositoryNames=[values["name"]])["repositories"]
    tags = ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
    return Found(values["name"], _tags(tags))


FINDERS: dict[str, Finder] = {
    "aws_apigatewayv2_api": _api,
    "aws_apigatewayv2_integration": _api_part(
        "get_integrations", "IntegrationId", ("integration_uri", "IntegrationUri")
    ),
    "aws_apigatewayv2_route": _api_part("get_routes", "RouteId", ("route_key", "RouteKey")),
    "aws_apigatewayv2_stage": _api_stage,
    "aws_budgets_budget": _budget,
    "aws_cloudwatch_log_group": _log_group,
    "aws_codebuild_project": _build_project,
    "aws_ecr_repository": _repository,
    "aws_iam_instance_profile": _instance_profile,
    "aws_iam_role": _role,
    "aws_instance": _instance,
    "aws_lambda_alias": _alias,
    "aws_lambda_event_source_mapping": _mapping,
    "aws_lambda_function": _function,
    "aws_lambda_function_url": _function_url,
    "aws_lambda_permission": _permission,
    "aws_launch_template": _launch_template,
    "aws_route_table": _tagged("route-table"),
    "aws_s3_bucket": _bucket,
    "aws_sagemaker_endpoint": _sagemaker("describe_endpoint", "EndpointName", "EndpointArn"),
    "aws_sagemaker_endpoint_configuration": _sagemaker(
        "describe_endpoint_config", "EndpointConfigName", "EndpointConfigArn"
    ),
    "aws_sagemaker_model": _sagemaker("describe_model", "ModelName", "ModelArn"),
    "aws_sagemaker_notebook_instance": _sagemaker(
        "describe_notebook_instance", "NotebookInstanceName", "NotebookInstanceArn"
    ),
    "aws_sagemaker_notebook_instance_lifecycle_configuration": _lifecycle_config,
    "aws_security_group": _tagged("security-group"),
    "aws_sqs_queue": _queue,
    "aws_subnet": _tagged("subnet"),
    "aws_vpc": _tagged("vpc"),
    "aws_vpc_endpoint": _tagged("vpc-endpoint"),
    "aws_vpc_security_group_egress_rule": _group_rule(egress=True),
    "aws_vpc_security_group_ingress_rule": _group_rule(egress=False),
}
"""How to find what making it again would collide with or make twice; the rest is only set anew."""
