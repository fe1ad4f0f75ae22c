"""Finds everything in a region that bears a stack's name, service by service."""

from collections.abc import Callable, Iterator

from pipeline.aws import Account, pages
from pipeline.instances import EXISTING

Finder = Callable[[Account, str], Iterator[str]]


def find_leftovers(account: Account, name: str) -> list[str]:
    """Everything that is named `<name>` or `<name>-...`, stopped instances too.

    Returns:
        One line each, `<kind> <name>`, without the bucket of Terraform's state.
    """
    state = f"{name}-state-"
    return [
        f"{kind} {found}"
        for kind, finder in FINDERS.items()
        for found in finder(account, name)
        if not found.startswith(state)
    ]


def _listed(service: str, operation: str, items: str, field: str, **arguments: str) -> Finder:
    """Finder for one listing that names things by a field."""

    def find(account: Account, name: str) -> Iterator[str]:
        for item in pages(account.client(service), operation, items, **arguments):
            found = item[field].rpartition(":")[2]  # of an ARN, its name
            if _bears(found, name):
                yield found

    return find


def _bears(found: str, name: str) -> bool:
    return found == name or found.startswith(f"{name}-")


def _buckets(account: Account, name: str) -> Iterator[str]:
    buckets = account.client("s3").list_buckets()["Buckets"]
    yield from (bucket["Name"] for bucket in buckets if _bears(bucket["Name"], name))


def _logs(account: Account, name: str) -> Iterator[str]:
    groups = pages(account.client("logs"), "describe_log_groups", "logGroups")
    for group in (group["logGroupName"] for group in groups):
        if any(_bears(part, name) for part in group.split("/")):
            yield group


def remove_log_groups(account: Account, name: str) -> list[str]:
    """Delete the stack's log groups.

    A function or an endpoint that ends may write its last lines after Terraform has deleted its
    log group, which makes a new one.

    Returns:
        Their names.
    """
    groups = list(_logs(account, name))
    for group in groups:
        account.client("logs").delete_log_group(logGroupName=group)
    return groups


def _mappings(account: Account, name: str) -> Iterator[str]:
    """Those of the stack's functions: AWS keeps a mapping when its function goes."""
    listed = pages(account.client("lambda"), "list_event_source_mappings", "EventSourceMappings")
    for mapping in listed:
        if _bears(mapping["FunctionArn"].partition(":function:")[2].split(":")[0], name):
            yield mapping["UUID"]


def _instances(account: Account, name: str) -> Iterator[str]:
    reservations = pages(
        account.client("ec2"), "describe_instances", "Reservations",
        Filters=[
            {"Name": "tag:Name", "Values": [name, f"{name}-*"]},
            {"Name": "instance-state-name", "Values": EXISTING},
        ],
    )  # fmt: skip
    yield from (i["InstanceId"] for r in reservations for i in r["Instances"])


def _tagged(operation: str, items: str, field: str) -> Finder:
    """Finder for one listing of EC2, by the tag Name."""

    def find(account: Account, name: str) -> Iterator[str]:
        named = [{"Name": "tag:Name", "Values": [name, f"{name}-*"]}]
        for item in pages(account.client("ec2"), operation, items, Filters=named):
            if item.get("State") != "deleted":  # an endpoint is listed for a while after its end
                yield item[field]

    return find


def _scaling_targets(account: Account, name: str) -> Iterator[str]:
    targets = pages(
        account.client("application-autoscaling"), "describe_scalable_targets", "ScalableTargets",
        ServiceNamespace="sagemaker",
    )  # fmt: skip
    ids = (target["ResourceId"] for target in targets)
    yield from (found for found in ids if _bears(found.split("/")[1], name))


def _budget(account: Account, name: str) -> Iterator[str]:
    # By its name: to list all budgets is more than the deployer may do.
    budgets = account.client("budgets")
    try:
        budgets.describe_budget(AccountId=account.account_id(), BudgetName=name)
    except budgets.exceptions.NotFoundException:
        return
    yield name


def _build_project(account: Account, name: str) -> Iterator[str]:
    # By its name: to list all projects and repositories is more than the deployer may do.
    for project in account.client("codebuild").batch_get_projects(names=[f"{name}-image"])[
        "projects"
    ]:
        yield project["name"]


def _repository(account: Account, name: str) -> Iterator[str]:
    ecr = account.client("ecr")
    try:
        found = ecr.describe_repositories(repositoryNames=[f"{name}-serving"])
    except ecr.exceptions.RepositoryNotFoundException:
        return
    yield from (one["repositoryName"] for one in found["repositories"])


def _queues(account: Account, name: str) -> Iterator[str]:
    urls = pages(account.client("sqs"), "list_queues", "QueueUrls", QueueNamePrefix=name)
    names = (url.rpartition("/")[2] for url in urls)
    yield from (found for found in names if _bears(found, name))


FINDERS: dict[str, Finder] = {
    "bucket": _buckets,
    "role": _listed("iam", "list_roles", "Roles", "RoleName"),
    "instance profile": _listed(
        "iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"
    ),
    "policy": _listed("iam", "list_policies", "Policies", "PolicyName", Scope="Local"),
    "instance": _instances,
    "launch template": _listed(
        "ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"
    ),
    "security group": _listed("ec2", "describe_security_groups", "SecurityGroups", "GroupName"),
    "VPC endpoint": _tagged("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    "subnet": _tagged("describe_subnets", "Subnets", "SubnetId"),
    "route table": _tagged("describe_route_tables", "RouteTables", "RouteTableId"),
    "VPC": _tagged("describe_vpcs", "Vpcs", "VpcId"),
    "function": _listed("lambda", "list_functions", "Functions", "FunctionName"),
    "event source mapping": _mappings,
    "endpoint": _listed("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    "endpoint config": _listed(
        "sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"
    ),
    "model": _listed("sagemaker", "list_models", "Models", "ModelName"),
    "notebook": _listed(
        "sagemaker", "list_notebook_instances", "NotebookInstances", "NotebookInstanceName"
    ),
    "notebook lifecycle config": _listed(
        "sagemaker",
        "list_notebook_instance_lifecycle_configs",
        "NotebookInstanceLifecycleConfigs",
        "NotebookInstanceLifecycleConfigName",
    ),
    "scaling target": _scaling_targets,
    "log group": _logs,
    "alarm": _listed("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "budget": _budget,
    "build project": _build_project,
    "image repository": _repository,
    "dashboard": _listed("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "HTTP API": _listed("apigatewayv2", "get_apis", "Items", "Name"),
    "queue": _queues,
    "topic": _listed("sns", "list_topics", "Topics", "TopicArn"),
}
"""How to find what the modules make, by kind."""
