"""The tables of the repository, written from a plan."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.infra.access import bootstrap, doors, graph
from tests.infra.access.roles import Role
from tests.infra.access.sweep import World
from tests.infra.access.unscoped import UNSCOPED
from tests.infra.access.variants import Variant

from localaws.iam.matching import as_list


def access(variant: Variant, world: World) -> str:
    """What every role may do, who may take it, and what other policies say."""
    lines = [of_roles(variant.roles.values(), world)]
    lines += ["# Who may take each role.", ""]
    for role in variant.roles.values():
        lines.append(f"{role.name} is taken by")
        lines += [f"  {taker}" for taker in doors.takers(role, world, variant.roles)]
        lines.append("")
    lines += ["# Whom a resource's own policy lets in or keeps out, whatever their own say.", ""]
    for address, document in variant.doors.items():
        lines.append(address)
        lines += [f"  {swing}" for swing in doors.swings(document, world)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def of_roles(roles: Iterable[Role], world: World) -> str:
    """What every role may do."""
    lines = ["# What each role may do, of everything that AWS has: action, where, and when.", ""]
    for role in roles:
        limit = f", never more than {role.boundary_arn}" if role.boundary_arn else ""
        lines.append(f"{role.name} may{limit}")
        may = role.access(world)
        for action in may.candidates():
            lines.append(f"  {action}")
            lines += [f"    {line}" for line in may.lines(action)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def role_graph(variant: Variant, world: World, ways: Mapping[str, Any]) -> str:
    """Which role can come to act as which other."""
    roles = _with_deployer(variant)
    found = graph.edges(roles, world, ways)
    lines = ["# Every way from one role to another.", ""]
    for (one, other), how in found.items():
        lines.append(f"{one} -> {other}")
        lines += [f"  {way}" for way in how]
        lines.append("")
    lines += ["# All that each role can come to act as.", ""]
    for name in roles:
        lines.append(f"{name}: {', '.join(graph.reachable(found, name)) or 'nothing else'}")
    return "\n".join(lines) + "\n"


def overview(variant: Variant, world: World, ways: Mapping[str, Any]) -> str:
    """The same for people: each statement of each role, and who can become whom."""
    lines = ["| role | statement | may | on | when |", "|---|---|---|---|---|"]
    for role in variant.roles.values():
        for _, _, statement in role.statements:
            actions = ", ".join(f"`{action}`" for action in sorted(as_list(statement["Action"])))
            resources = sorted(as_list(statement["Resource"]))
            places = ", ".join(_short(arn, world) for arn in resources)
            cells = [f"`{role.name}`", statement["Sid"], actions, places, _conditions(statement)]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| role | is taken by | can come to act as |", "|---|---|---|"]
    roles = _with_deployer(variant)
    found = graph.edges(roles, world, ways)
    for role in roles.values():
        takers = sorted({taker.split(" ")[0] for taker in doors.takers(role, world, [])})
        others = [f"`{name}`" for name in graph.reachable(found, role.name)]
        by = ", ".join(f"`{taker}`" for taker in takers)
        lines.append(f"| `{role.name}` | {by} | {', '.join(others) or 'nothing else'} |")
    lines += ["", "| allowed on every resource | because |", "|---|---|"]
    for reason in dict.fromkeys(UNSCOPED.values()):
        actions = ", ".join(f"`{action}`" for action, why in UNSCOPED.items() if why == reason)
        lines.append(f"| {actions} | {reason} |")
    return "\n".join(lines) + "\n"


def _with_deployer(variant: Variant) -> dict[str, Role]:
    deployer = bootstrap.deployer()
    return {**variant.roles, deployer.name: deployer}


def _short(arn: str, world: World) -> str:
    """An ARN without what is the same in most of them."""
    if arn == "*":
        return "`*`"
    *_, region, account, name = arn.split(":", 5)
    words = [f"`{name}`"]
    if account not in ("", world.account["own"]):
        words.append("of any account" if account == "*" else f"of account {account}")
    if region not in ("", world.region["own"]):
        words.append(f"in region `{region}`")
    return " ".join(words)


def _conditions(statement: Mapping[str, Any]) -> str:
    return ", ".join(
        f"`{key}` {'is like' if 'Like' in operator else 'is'} "
        + " or ".join(f"`{value}`" for value in sorted(as_list(values)))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )
