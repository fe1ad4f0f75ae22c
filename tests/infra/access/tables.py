"""The tables of the repository, written from a plan."""

from collections.abc import Mapping
from typing import Any

from tests.infra.access import doors, graph
from tests.infra.access.sweep import World
from tests.infra.access.variants import Variant


def access(variant: Variant, world: World) -> str:
    """What every role may do, who may take it, and what other policies say."""
    lines = ["# What each role may do, of everything that AWS has: action, where, and when.", ""]
    for role in variant.roles.values():
        limit = f", never more than {role.boundary_arn}" if role.boundary_arn else ""
        lines.append(f"{role.name} may{limit}")
        may = role.access(world)
        for action in may.candidates():
            lines.append(f"  {action}")
            lines += [f"    {line}" for line in may.lines(action)]
        lines.append("")
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


def role_graph(variant: Variant, world: World, ways: Mapping[str, Any]) -> str:
    """Which role can come to act as which other."""
    found = graph.edges(variant.roles, world, ways)
    lines = ["# Every way from one role to another.", ""]
    for (one, other), how in found.items():
        lines.append(f"{one} -> {other}")
        lines += [f"  {way}" for way in how]
        lines.append("")
    lines += ["# All that each role can come to act as.", ""]
    for name in variant.roles:
        lines.append(f"{name}: {', '.join(graph.reachable(found, name)) or 'nothing else'}")
    return "\n".join(lines) + "\n"
