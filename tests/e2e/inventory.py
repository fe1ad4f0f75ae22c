"""Everything that an account holds: every list that every service gives without being asked for
one thing, counted."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

SERVICES = (
    *(
        "apigatewayv2",
        "application-autoscaling",
        "budgets",
        "cloudwatch",
        "codebuild",
        "ec2",
        "ecr",
    ),
    *("events", "iam", "kms", "lambda", "logs", "resource-groups", "s3", "sagemaker", "scheduler"),
    *("secretsmanager", "sns", "sqs", "ssm"),
)
ASKED: dict[str, dict[str, Any]] = {
    "application-autoscaling": {"ServiceNamespace": "sagemaker"},
    "budgets": {"AccountId": "123456789012"},
    "iam:ListPolicies": {"Scope": "Local"},
    "ec2:DescribeImages": {"Owners": ["self"]},
}
"""What a list needs to be asked with, by service or call."""
NOT_OURS = re.compile(
    # What has been, and costs nothing: metrics, jobs, searches and commands.
    r"cloudwatch:.*(Metrics|History)|sagemaker:List(Training|HyperParameterTuning)Jobs"
    r"|ssm:.*Command|.*ScalingActivities"
    # What is said once more of something that is counted by its own list.
    r"|ec2:DescribeTags|ec2:.*InstanceStatus|iam:.*(Report|AuthorizationDetails|Summary)"
    # What AWS offers to everybody, and the key it makes itself for the first encrypted volume.
    r"|ec2:.*(Type|Offering|Zone|Region|Price|Prefix|Snapshot)|ssm:.*(Parameter|Patch|Document)"
    r"|kms:ListKeys"
    # moto keeps the interface of an instance that was terminated.
    r"|ec2:DescribeNetworkInterfaces"
)
"""Lists that do not say what a stack has left behind, each with its reason."""

AWS_OWN = ("/aws/sagemaker/NotebookInstances", "/aws/sagemaker/TrainingJobs")
"""Log groups for the notebooks and jobs of all projects: no stack may take them away."""


def inventory(client: Callable[[str], Any]) -> dict[str, int]:
    """How many things each list has, by call and list; empty ones are left out."""
    return {
        f"{service}:{operation}.{name}": count
        for service in SERVICES
        for operation, answer in _answers(service, client(service))
        for name, count in _lists(answer)
        if count
    }


def _answers(service: str, client: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    names = {operation: name for name, operation in client.meta.method_to_api_mapping.items()}
    for operation, method in names.items():
        call = f"{service}:{operation}"
        if not operation.startswith(("List", "Describe", "Get")) or NOT_OURS.search(call):
            continue
        shape = client.meta.service_model.operation_model(operation).input_shape
        members = {} if shape is None else shape.members
        given = ASKED.get(call) or {
            name: value for name, value in ASKED.get(service, {}).items() if name in members
        }
        if set(shape.required_members if shape else ()) <= given.keys():
            try:
                yield operation, getattr(client, method)(**given)
            except (BotoCoreError, ClientError):
                continue  # this local AWS does not know the call, so nothing is kept there


def _lists(answer: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in answer.items():
        if name == "Reservations":
            instances = (i for reservation in value for i in reservation["Instances"])
            # EC2 shows terminated instances for an hour.
            yield name, sum(i["State"]["Name"] != "terminated" for i in instances)
        elif name == "logGroups":
            groups = (group["logGroupName"] for group in value)
            yield from ((f"{name} {group}", 1) for group in groups if group not in AWS_OWN)
        elif isinstance(value, list):
            yield name, len(value)
