"""Roles that calls hand to a service.

The caller must be allowed to pass them, and the role must trust the service.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localaws.core import Call
from localaws.iam.matching import as_list
from localaws.iam.needs import Known, arn
from localaws.records import ACCOUNT_ID

_SAGEMAKER_KINDS = {
    "EndpointConfigName": "endpoint-config",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "ModelName": "model",
    "NotebookInstanceName": "notebook-instance",
    "ProcessingJobName": "processing-job",
    "TrainingJobName": "training-job",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PassedRole:
    """One role that a call hands to a service."""

    service: str
    """The service that will take it, for example lambda.amazonaws.com."""

    resource_arn: str
    """What it will be used for; the service sends it as aws:SourceArn."""

    role: str | None = None
    """ARN of the role."""

    profile: str | None = None
    """Instead of the role: name or ARN of the instance profile that holds it."""

    checked: bool = True
    """Whether the service looks at the trust policy during the call."""


def passed_roles(call: Call, known: Known) -> list[PassedRole]:
    """Every role that a call passes."""
    params, changes = call.params, call.operation.startswith(("Create", "Update"))
    if call.service == "sagemaker" and changes:
        source = arn("sagemaker", known.region, "*")
        for member, kind in _SAGEMAKER_KINDS.items():
            if params.get(member):
                source = arn("sagemaker", known.region, f"{kind}/{params[member]}")
                break
        return [
            PassedRole(service="sagemaker.amazonaws.com", resource_arn=source, role=role)
            for role in dict.fromkeys(_roles_within(params))
        ]
    if call.service == "lambda" and changes and params.get("Role"):
        source = arn("lambda", known.region, f"function:{params['FunctionName']}")
        service = "lambda.amazonaws.com"
        return [PassedRole(service=service, resource_arn=source, role=params["Role"])]
    if call.service == "codebuild" and changes and params.get("serviceRole"):
        source = arn("codebuild", known.region, f"project/{params['name']}")
        service = "codebuild.amazonaws.com"
        return [PassedRole(service=service, resource_arn=source, role=params["serviceRole"])]
    if call.service == "ec2" and call.operation in (
        "RunInstances",
        "AssociateIamInstanceProfile",
        "ReplaceIamInstanceProfileAssociation",
    ):
        template = known.launch_template(params.get("LaunchTemplate") or {})
        given = params.get("IamInstanceProfile") or template.get("IamInstanceProfile") or {}
        profile = given.get("Arn") or given.get("Name")
        if profile:
            source = arn("ec2", known.region, f"instance/{params.get('InstanceId', '*')}")
            # EC2 takes the role only when the instance asks for its credentials.
            return [
                PassedRole(
                    service="ec2.amazonaws.com",
                    resource_arn=source,
                    profile=profile,
                    checked=False,
                )
            ]
    if call.service == "iam" and call.operation == "AddRoleToInstanceProfile":
        profile_arn = f"arn:aws:iam::{ACCOUNT_ID}:instance-profile/{params['InstanceProfileName']}"
        return [
            PassedRole(
                service="ec2.amazonaws.com",
                resource_arn=profile_arn,
                role=params["RoleName"],
                checked=False,
            )
        ]
    return []


def _roles_within(value: Any) -> Iterator[str]:
    """Every RoleArn and ExecutionRoleArn, however deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in ("RoleArn", "ExecutionRoleArn") and isinstance(inner, str):
                yield inner
            else:
                yield from _roles_within(inner)
    elif isinstance(value, list | tuple):
        for inner in as_list(value):
            yield from _roles_within(inner)
