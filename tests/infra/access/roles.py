"""Roles and the policies around them, read from a plan."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.infra.access.sweep import Access, World

Document = dict[str, Any]
NOT_KNOWN = (
    "is not known in the plan. Write its ARNs out, or tell the plan the id that it waits for in "
    "tests/infra/access/variants.yaml."
)


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role as a plan makes it."""

    name: str
    trust: Document
    policies: Mapping[str, Document]
    """Inline policies by name."""

    boundary_arn: str | None = None

    @property
    def statements(self) -> list[tuple[str, int, dict[str, Any]]]:
        """Every statement, with its policy and its place in it."""
        return [
            (name, place, statement)
            for name, document in self.policies.items()
            for place, statement in enumerate(document["Statement"])
        ]

    def access(self, world: World) -> Access:
        """What the role may do."""
        principal = f"arn:aws:sts::{world.account['own']}:assumed-role/{self.name}/session"
        documents = tuple(self.policies.values())
        return Access(world=world, principal_arn=principal, identity=documents)

    def changed(self, policy: str, place: int, statement: dict[str, Any] | None) -> "Role":
        """The role with one statement exchanged, or left out."""
        statements = list(self.policies[policy]["Statement"])
        statements[place : place + 1] = [] if statement is None else [statement]
        document = {**self.policies[policy], "Statement": statements}
        return replace(self, policies={**self.policies, policy: document})


def read(changes: Iterable[Mapping[str, Any]]) -> dict[str, Role]:
    """The roles of a plan's resource_changes, by name.

    Raises:
        ValueError: a policy is not known before it is applied, so nobody can review it.
    """
    planned = {
        change["address"]: change
        for change in changes
        if change["mode"] == "managed" and change["change"]["after"] is not None
    }
    for address, change in planned.items():
        unknown = change["change"].get("after_unknown") or {}
        if change["type"].endswith("_policy") and unknown.get("policy"):
            raise ValueError(f"policy of {address} {NOT_KNOWN}")
    after = [(change["type"], change["change"]["after"]) for change in planned.values()]
    inline: dict[str, dict[str, Document]] = {}
    for kind, values in after:
        if kind == "aws_iam_role_policy":
            inline.setdefault(values["role"], {})[values["name"]] = json.loads(values["policy"])
    return {
        values["name"]: Role(
            name=values["name"],
            trust=json.loads(values["assume_role_policy"]),
            policies=inline.get(values["name"], {}),
            boundary_arn=values.get("permissions_boundary"),
        )
        for kind, values in sorted(after, key=lambda pair: str(pair[1].get("name")))
        if kind == "aws_iam_role"
    }
