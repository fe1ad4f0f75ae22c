"""Who else is let in, or kept out, by the things themselves: trust and resource policies."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.infra.access.definition import actions
from tests.infra.access.roles import NOT_KNOWN, Role
from tests.infra.access.sweep import Access, World

from localaws.iam.matching import as_list

Document = dict[str, Any]
ANYTHING: Document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def read(changes: Iterable[Mapping[str, Any]]) -> dict[str, Document]:
    """The resource policies of a plan's resource_changes, by the address of their resource.

    Raises:
        ValueError: whom a permission is for is not known before it is applied.
    """
    found = {}
    for change in changes:
        after = change["change"]["after"] or {}
        unknown = change["change"].get("after_unknown") or {}
        if change["type"] == "aws_lambda_permission" and unknown.get("source_arn"):
            raise ValueError(f"source_arn of {change['address']} {NOT_KNOWN}")
        if change["type"] == "aws_vpc_endpoint" and unknown.get("policy"):
            continue  # AWS's own, which lets everything through
        if change["type"] == "aws_lambda_permission":
            found[change["address"]] = _permission(after)
        elif "Principal" in str(after.get("policy")):
            found[change["address"]] = json.loads(after["policy"])
    return found


def _permission(after: Mapping[str, Any]) -> Document:
    principal = after["principal"]
    kind = "Service" if principal.endswith(".amazonaws.com") else "AWS"
    function = ":".join(filter(None, [after["function_name"], after.get("qualifier")]))
    conditions = {
        operator: {key: after[name]}
        for operator, key, name in [
            ("StringEquals", "lambda:FunctionUrlAuthType", "function_url_auth_type"),
            ("StringEquals", "aws:SourceAccount", "source_account"),
            ("ArnLike", "aws:SourceArn", "source_arn"),
        ]
        if after.get(name)
    }
    statement = {
        "Effect": "Allow",
        "Principal": {kind: principal},
        "Action": after["action"],
        "Resource": f"arn:aws:lambda:us-east-1:123456789012:function:{function}",
        "Condition": conditions,
    }
    return {"Statement": [statement]}


def takers(role: Role, world: World, roles: Iterable[str]) -> list[str]:
    """Who may take a role, and when."""
    arn = f"arn:aws:iam::{world.account['own']}:role/{role.name}"
    found = []
    for principal in _principals(role.trust, world, roles):
        door = Access(
            world=world, principal_arn=principal, identity=(), resource=role.trust, arn=arn
        )
        for action in door.candidates():
            for line in door.lines(action):
                when = line.removeprefix("everywhere")
                found.append(f"{principal} by {action}{when}")
    return found


def swings(document: Document, world: World) -> list[str]:
    """Whom a resource's policy lets in without a policy of their own, and whom it keeps out."""
    found: dict[str, list[str]] = {}
    principals = _principals(document, world, ())
    for principal in principals:
        for identity, allowed in (((), True), ((ANYTHING,), False)):
            door = Access(
                world=world, principal_arn=principal, identity=identity, resource=document
            )
            by_place: dict[str, list[str]] = {}
            for action in door.candidates("Allow" if allowed else "Deny"):
                for line in door.lines(action, allowed=allowed):
                    by_place.setdefault(line, []).append(action)
            word = "lets in" if allowed else "keeps out"
            for line, names in by_place.items():
                for name in _together(names, line.split(" ")[0], door):
                    found.setdefault(f"{name} {_on(line)}", []).append(f"{word} {principal}")
    lines = []
    for what, whom in found.items():
        everybody = len(whom) == len(principals)
        words = [f"{whom[0].rsplit(' ', 1)[0]} everybody"] if everybody else whom
        lines += [f"{who}: {what}" for who in words]
    return sorted(lines)


def _on(line: str) -> str:
    return line if line.startswith("everywhere") else f"on {line}"


def _together(names: list[str], arn: str, door: Access) -> list[str]:
    """`s3:*` for all of a service's actions on one ARN."""
    service = names[0].split(":")[0]
    every = [
        name
        for name, action in actions().items()
        if name.startswith(f"{service}:") and arn in door.arns(action)
    ]
    return [f"{service}:*"] if set(every) == set(names) and len(every) > 1 else names


def _principals(document: Document, world: World, roles: Iterable[str]) -> list[str]:
    own, other = world.account["own"], world.account["other"]
    listed = ["anonymous", f"arn:aws:iam::{own}:root", f"arn:aws:iam::{other}:root"]
    listed += world.services
    listed += [f"arn:aws:sts::{own}:assumed-role/{role}/session" for role in roles]
    listed += [name for name in _named(document) if name != "*"]
    return list(dict.fromkeys(listed))


def _named(document: Document) -> Iterator[str]:
    for statement in document["Statement"]:
        principal = statement.get("Principal", {})
        kinds = principal.values() if isinstance(principal, Mapping) else [principal]
        for names in kinds:
            yield from as_list(names)
