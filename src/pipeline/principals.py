"""Roles and managed policies, made or brought up to date."""

import json
from collections.abc import Callable
from urllib.parse import unquote

from botocore.exceptions import ClientError

from pipeline.aws import Client, error_code, pages
from pipeline.rights import Document

MISSING = "NoSuchEntity"
VERSIONS = 5
"""How many versions of a policy AWS keeps."""
Tell = Callable[[str], None]


def has_role(iam: Client, name: str) -> bool:
    """Whether there is such a role."""
    try:
        iam.get_role(RoleName=name)
    except ClientError as error:
        if error_code(error) != MISSING:
            raise
        return False
    return True


def ensure_linked_role(iam: Client, service: str) -> None:
    """Make the role of its own that a service of AWS acts with, unless the account has it."""
    try:
        iam.create_service_linked_role(AWSServiceName=service)
    except ClientError as error:
        if error_code(error) not in {"InvalidInput", "EntityAlreadyExists"}:
            raise


def ensure_role(
    iam: Client, name: str, description: str, trust: Document, tags: dict[str, str], tell: Tell
) -> None:
    """Make a role, or give it this trust."""
    if has_role(iam, name):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        tell(f"There already: the role {name}.")
        return
    iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(trust),
        Description=description,
        Tags=_listed(tags),
    )
    tell(f"Made the role {name}.")


def ensure_policy(
    iam: Client, arn: str, policy: Document, tags: dict[str, str], tell: Tell
) -> None:
    """Make a managed policy, or a new version of it where it says something else."""
    name, text = arn.rpartition("/")[2], json.dumps(policy, separators=(",", ":"))
    try:
        current = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    except ClientError as error:
        if error_code(error) != MISSING:
            raise
        iam.create_policy(PolicyName=name, PolicyDocument=text, Tags=_listed(tags))
        tell(f"Made the policy {name}.")
        return
    found = iam.get_policy_version(PolicyArn=arn, VersionId=current)["PolicyVersion"]["Document"]
    if isinstance(found, str):
        found = json.loads(unquote(found))
    if found == policy:
        tell(f"There already: the policy {name}.")
        return
    others = [v for v in _versions(iam, arn) if v != current]
    if len(others) == VERSIONS - 1:
        iam.delete_policy_version(PolicyArn=arn, VersionId=others[-1])
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)
    tell(f"Changed the policy {name}.")


def attached(iam: Client, role: str) -> list[str]:
    """ARNs of the managed policies that a role has."""
    listed = pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=role)
    return [policy["PolicyArn"] for policy in listed]


def remove_role(iam: Client, name: str) -> list[str]:
    """Delete a role, if there is one.

    Returns:
        ARNs of the managed policies that it had.
    """
    if not has_role(iam, name):
        return []
    arns = attached(iam, name)
    for arn in arns:
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    iam.delete_role(RoleName=name)
    return arns


def remove_policy(iam: Client, arn: str) -> bool:
    """Delete a managed policy with all its versions.

    Returns:
        Whether there was one.
    """
    try:
        current = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    except ClientError as error:
        if error_code(error) != MISSING:
            raise
        return False
    for version in _versions(iam, arn):
        if version != current:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)
    return True


def _versions(iam: Client, arn: str) -> list[str]:
    """The newest first."""
    listed = pages(iam, "list_policy_versions", "Versions", PolicyArn=arn)
    return sorted((v["VersionId"] for v in listed), key=lambda v: int(v[1:]), reverse=True)


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
