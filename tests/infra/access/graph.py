"""Which role can come to act as which other: the edges, and where they lead."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.infra.access.definition import actions
from tests.infra.access.roles import Role
from tests.infra.access.sweep import Access, World

Edges = dict[tuple[str, str], list[str]]
"""Ways by their two roles: who can act, and as whom."""


def read_ways() -> dict[str, Any]:
    """The ways of ways.yaml.

    Raises:
        ValueError: an action there is not one that AWS has.
    """
    ways: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("ways.yaml").read_text())
    named = [action for started in ways["hand_over"].values() for action in started]
    named += ways["rewrite"]
    named += [call for thing in ways["runs_as"].values() for call, _ in thing["calls"]]
    unknown = sorted(set(named) - set(actions()))
    if unknown:
        raise ValueError(f"ways.yaml names {', '.join(unknown)}, which AWS does not have.")
    return ways


def edges(roles: Mapping[str, Role], world: World, ways: Mapping[str, Any]) -> Edges:
    """Every way from one role to another.

    Raises:
        ValueError: ways.yaml does not know a role or a service that may take one.
    """
    found: Edges = {}
    for name, role in roles.items():
        access = role.access(world)
        for other in roles.values():
            if other.name != name and (how := list(_ways(access, other, world, ways))):
                found[name, other.name] = how
    return found


def _ways(access: Access, other: Role, world: World, ways: Mapping[str, Any]) -> Iterator[str]:
    arn = f"arn:aws:iam::{world.account['own']}:role/{other.name}"
    if access.allows("sts:AssumeRole", arn) or _trusted(access, other, world, arn):
        yield "takes it by sts:AssumeRole"
    for service in _services(other):
        if service not in ways["hand_over"]:
            raise ValueError(f"Say in ways.yaml what {service} starts that runs as {other.name}.")
        passes = access.allows("iam:PassRole", arn, {"iam:passedtoservice": [service]})
        for action in ways["hand_over"][service]:
            if passes and access.lines(action):
                yield f"hands it to {service} with {action}"
    for action in ways["rewrite"]:
        if access.allows(action, arn):
            yield f"rewrites it with {action}"
    if other.name not in ways["runs_as"]:
        raise ValueError(f"Say in ways.yaml what runs as {other.name}.")
    thing = ways["runs_as"][other.name]
    for action, target in thing["calls"]:
        if access.allows(action, target):
            yield f"changes what it runs with {action}"
    for file in thing["files"]:
        if access.allows("s3:PutObject", file):
            yield f"writes {file}, which it runs"


def _trusted(access: Access, other: Role, world: World, arn: str) -> bool:
    """Whether the other role's trust names this one; then it needs no policy of its own."""
    door = Access(
        world=world,
        principal_arn=access.principal_arn,
        identity=(),
        resource=other.trust,
        arn=arn,
    )
    return door.allows("sts:AssumeRole", arn)


def _services(role: Role) -> list[str]:
    found: list[str] = []
    for statement in role.trust["Statement"]:
        services = statement.get("Principal", {}).get("Service", [])
        found += services if isinstance(services, list) else [services]
    return found


def reachable(found: Edges, start: str) -> list[str]:
    """Every role that one can come to act as, over any number of others."""
    seen: set[str] = set()
    coming = [start]
    while coming:
        here = coming.pop()
        for one, other in found:
            if one == here and other not in seen | {start}:
                seen.add(other)
                coming.append(other)
    return sorted(seen)
