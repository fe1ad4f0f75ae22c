"""Which policies apply to whom; the place where localaws looks into moto's IAM."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from localaws.iam.evaluator import Document
from localaws.iam.identity import Principal
from localaws.records import ACCOUNT_ID


class RoleRecord:
    """A role, as IAM keeps it."""

    def __init__(self, moto_role: Any) -> None:
        self.arn: str = moto_role.arn
        self.name: str = moto_role.name
        self.id: str = moto_role.id
        self.trust: Document = _document(moto_role.assume_role_policy_document)
        self.tags: Mapping[str, str] = _tags(moto_role)
        self.boundary_arn: str | None = getattr(moto_role, "permissions_boundary_arn", None)


class IamRecords:
    """Reads roles, users and policies."""

    @property
    def _backend(self) -> Any:
        from moto.iam.models import iam_backends

        return iam_backends[ACCOUNT_ID]["aws"]

    def role(self, name_or_arn: str) -> RoleRecord | None:
        """A role by name or ARN; None when there is none."""
        found = self._moto_role(name_or_arn)
        return None if found is None else RoleRecord(found)

    def role_of_profile(self, name_or_arn: str) -> RoleRecord | None:
        """The role in an instance profile; None when there is no such profile or role."""
        name = name_or_arn.rsplit("/", 1)[-1]
        for profile in list(self._backend.instance_profiles.values()):
            if profile.name == name and profile.roles:
                return RoleRecord(profile.roles[0])
        return None

    def identity_policies(self, principal: Principal) -> list[Document]:
        """Inline and attached policies of a user (and its groups) or a role."""
        return [
            document
            for holder in self._holders(principal)
            for document in [
                *(_document(text) for text in list(holder.policies.values())),
                *(_current(policy) for policy in list(holder.managed_policies.values())),
            ]
        ]

    def boundary(self, principal: Principal) -> Sequence[Document] | None:
        """The permissions boundary; None when there is none."""
        holders = self._holders(principal)
        arn = getattr(holders[0], "permissions_boundary_arn", None) if holders else None
        if not arn:
            return None
        policy = self._backend.managed_policies.get(arn)
        # A boundary that was deleted allows nothing.
        return [] if policy is None else [_current(policy)]

    def _holders(self, principal: Principal) -> list[Any]:
        if principal.role_name:
            role = self._moto_role(principal.role_name)
            return [] if role is None else [role]
        user = self._backend.users.get(principal.user_name)
        if user is None:
            return []
        groups = [group for group in self._backend.list_groups() if user in group.users]
        return [user, *groups]

    def _moto_role(self, name_or_arn: str) -> Any:
        for role in list(self._backend.roles.values()):
            if name_or_arn in (role.name, role.arn):
                return role
        return None


def _current(managed_policy: Any) -> Document:
    """The default version of a managed policy."""
    for version in managed_policy.versions:
        if version.is_default:
            return _document(version.document)
    return {}


def _document(text: Any) -> Document:
    if isinstance(text, Mapping):
        return text
    try:
        parsed = json.loads(text or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, Mapping) else {}


def _tags(holder: Any) -> dict[str, str]:
    tags = getattr(holder, "tags", None) or {}
    values = tags.values() if isinstance(tags, Mapping) else tags
    return {str(tag["Key"]): str(tag["Value"]) for tag in values if isinstance(tag, Mapping)}
