"""What every role must pass, and whether a change of it would be seen."""

from collections.abc import Iterable, Iterator

from tests.infra.access import mutants
from tests.infra.access.definition import covered
from tests.infra.access.roles import Role
from tests.infra.access.sweep import World
from tests.infra.access.unscoped import UNSCOPED

from localaws.iam.matching import as_list


def answers(role: Role, world: World) -> dict[str, list[str]]:
    """What the sweep says of every action that a role may do somewhere."""
    access = role.access(world)
    return {action: access.lines(action) for action in access.candidates()}


def survivors(role: Role, world: World) -> list[str]:
    """Mutants of a role's statements that neither the sweep nor a rule notices."""
    before = answers(role, world)
    return [
        mutant.what
        for mutant in mutants.of_policies(role)
        if not broken_rules(mutant.role)
        and all(
            mutant.role.access(world).lines(action) == before.get(action, [])
            for action in sorted(mutant.touched)
        )
    ]


def broken_rules(role: Role) -> list[str]:
    """Rules that hold for every statement, whatever it allows."""
    lines = []
    for policy, place, statement in role.statements:
        where = f"{role.name}, {policy}, {statement.get('Sid', place)}"
        for key in ("NotAction", "NotResource", "NotPrincipal"):
            if key in statement:
                lines.append(f"{where}: {key} allows by exception")
        if not statement.get("Sid"):
            lines.append(f"{where}: a statement needs a Sid, so that a review can name it")
        actions = as_list(statement.get("Action"))
        lines += [f"{where}: action {action}" for action in actions if "*" in action]
        if "*" in as_list(statement.get("Resource")):
            lines += [f"{where}: {a} on every resource" for a in actions if a not in UNSCOPED]
    return lines


def dead_grants(role: Role, world: World) -> Iterator[str]:
    """Actions that a statement names in vain: on none of its resources does AWS ask for them."""
    for policy, place, statement in role.statements:
        for pattern in as_list(statement["Action"]):
            only = {policy: {"Statement": [{**statement, "Action": pattern}]}}
            access = Role(name=role.name, trust=role.trust, policies=only).access(world)
            if not any(access.lines(action) for action in covered(pattern)):
                yield f"{role.name}, {statement.get('Sid', place)}: {pattern}"


def unlimited(role: Role, world: World) -> set[str]:
    """Actions that a role may do anywhere, however its statements write that, and are unlisted."""
    found = answers(role, world)
    return {action for action, lines in found.items() if "everywhere" in lines} - set(UNSCOPED)


def everywhere(roles: Iterable[Role]) -> set[str]:
    """Actions that some statement allows on every resource."""
    return {
        action
        for role in roles
        for _, _, statement in role.statements
        if "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }
