"""What the deployer may do, and what no role of a project may ever do more than.

Every name carries the project's, so nearly every statement ends at things of the project. Where
AWS chooses the name (EC2), a tag takes its place. `docs/security.md` says why the few that are
open must be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Statement = dict[str, Any]
Condition = Mapping[str, Mapping[str, Any]]

ROLES = ("endpoint", "function", "image", "notebook", "training", "training-job")
"""What follows `<name>-` in the names of the roles that Terraform makes."""
PASSED_TO = {
    "codebuild.amazonaws.com": ("image",),
    "ec2.amazonaws.com": ("training",),
    "lambda.amazonaws.com": ("function",),
    "sagemaker.amazonaws.com": ("endpoint", "notebook", "training-job"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """Whose rights are written."""

    name: str
    account_id: str
    region: str
    partition: str = "aws"
    boundary_arn: str | None = None
    """The boundary that every role must have; null is the project's own."""
    kms_key_arn: str | None = None
    own_repositories: tuple[str, ...] = ()
    """Of the images of the endpoint and of jobs, where they are this account's."""
    own_vpc: bool = False
    http_api: bool = False
    job_type: str = "ml.m5.xlarge"
    """Instance type of training jobs; others cannot be started."""

    @property
    def own_boundary(self) -> str:
        """ARN of the boundary that bootstrap makes, unless the settings name another."""
        return self.iam(f"policy/{self.name}-boundary")

    @property
    def boundary(self) -> str:
        """ARN of the boundary that the deployer must give to every role."""
        return self.boundary_arn or self.own_boundary

    @property
    def bucket(self) -> str:
        """ARN of the artifact bucket."""
        return f"arn:{self.partition}:s3:::{self.name}-{self.account_id}-{self.region}"

    @property
    def state(self) -> str:
        """ARN of the bucket with Terraform's state."""
        return f"arn:{self.partition}:s3:::{self.name}-state-{self.account_id}-{self.region}"

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def iam(self, resource: str) -> str:
        """An ARN of IAM, which has no regions."""
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"

    def roles(self, parts: Sequence[str] = ROLES) -> list[str]:
        """ARNs of the project's roles."""
        return [self.iam(f"role/{self.name}-{part}") for part in parts]


def allow(
    sid: str,
    actions: str | Sequence[str],
    resources: str | Sequence[str],
    condition: Condition | None = None,
) -> Statement:
    """One statement; actions without a service take that of the first."""
    listed = actions.split() if isinstance(actions, str) else list(actions)
    service = listed[0].split(":")[0]
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [a if ":" in a else f"{service}:{a}" for a in listed],
        "Resource": resources if isinstance(resources, str) else list(resources),
    }
    return statement | ({"Condition": condition} if condition else {})


def only_type(instance_type: str) -> Condition:
    """Holds where a request names one instance type, and no other besides."""
    key = "sagemaker:InstanceTypes"
    return {"ForAllValues:StringEquals": {key: [instance_type]}, "Null": {key: "false"}}


def document(statements: Sequence[Statement]) -> Document:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}
