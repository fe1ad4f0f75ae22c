"""Finds everything in a region that bears a stack's name, service by service."""

from collections.abc import Callable, Iterator

from pipeline.aws import Account, pages
from pipeline.instances import EXISTING

Finder = Callable[[Account, str], Iterator[str]]


def find_leftovers(account: Account, name: str) -> list[str]:
    """Everything whose name starts with `<name>-`, or that is tagged so; stopped things too.

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


def _listed(
    service: str, operation: str, items: str, field: str, prefix: str = "{name}-"
) -> Finder:
    """Finder for one listing that names things by a field."""

    def find(account: Account, name: str) -> Iterator[str]:
        for item in pages(account.client(service), operation, items):
            text = item[field] if field else item
            short = text.rpartition(":")[2] if text.startswith("arn:") else text
            if short.startswith(prefix.format(name=name)):
                yield short

    return find


def _buckets(account: Account, name: str) -> Iterator[str]:
    buckets = account.client("s3").list_buckets()["Buckets"]
    yield from (b["Name"] for b in buckets if b["Name"].startswith(f"{name}-"))


def _logs(account: Account, name: str) -> Iterator[str]:
    for prefix in (
        f"/aws/lambda/{name}-",
        f"/aws/sagemaker/Endpoints/{name}-",
        f"/aws/sagemaker/NotebookInstances/{name}-",
        f"/{name}/",
    ):
        groups = pages(
            account.client("logs"), "describe_log_groups", "logGroups", logGroupNamePrefix=prefix
        )
        yield from (group["logGroupName"] for group in groups)


def _instances(account: Account, name: str) -> Iterator[str]:
    reservations = pages(
        account.client("ec2"), "describe_instances", "Reservations",
        Filters=[
            {"Name": "tag:Name", "Values": [f"{name}-*"]},
            {"Name": "instance-state-name", "Values": EXISTING},
        ],
    )  # fmt: skip
    yield from (i["InstanceId"] for r in reservations for i in r["Instances"])


def _scaling_targets(account: Account, name: str) -> Iterator[str]:
    targets = pages(
        account.client("application-autoscaling"), "describe_scalable_targets", "ScalableTargets",
        ServiceNamespace="sagemaker",
    )  # fmt: skip
    prefix = f"endpoint/{name}-"
    yield from (t["ResourceId"] for t in targets if t["ResourceId"].startswith(prefix))


def _policies(account: Account, name: str) -> Iterator[str]:
    policies = pages(account.client("iam"), "list_policies", "Policies", Scope="Local")
    yield from (p["PolicyName"] for p in policies if p["PolicyName"].startswith(f"{name}-"))


FINDERS: dict[str, Finder] = {
    "bucket": _buckets,
    "role": _listed("iam", "list_roles", "Roles", "RoleName"),
    "instance profile": _listed(
        "iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"
    ),
    "policy": _policies,
    "instance": _instances,
    "launch template": _listed(
        "ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"
    ),
    "security group": _listed("ec2", "describe_security_groups", "SecurityGroups", "GroupName"),
    "function": _listed("lambda", "list_functions", "Functions", "FunctionName"),
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
    "dashboard": _listed(
        "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName", "{name}"
    ),
    "topic": _listed("sns", "list_topics", "Topics", "TopicArn"),
}
"""How to find what the modules make, by kind."""
