"""Every policy of the plan, asked about everything that AWS has, against reviewed tables."""

from pathlib import Path

import pytest
from tests.infra.access import doors, graph, mutants, sweep, tables, variants
from tests.infra.access.definition import actions, covered
from tests.infra.access.roles import Role
from tests.infra.access.sweep import World
from tests.infra.access.unscoped import UNSCOPED
from tests.infra.access.variants import Variant
from tests.infra.conftest import REPOSITORY
from tests.infra.reviewed import Reviewed

from localaws.iam.matching import as_list

pytestmark = pytest.mark.slow
FOLDER = Path(variants.__file__).parent
MARK, END = "<!-- written by `make regenerate` -->\n", "<!-- end -->"


@pytest.fixture(scope="module")
def world() -> World:
    return sweep.read_world()


@pytest.mark.parametrize("name", variants.NAMES)
def test_the_roles_may_do_what_was_reviewed(
    planned: dict[str, Variant], world: World, reviewed: Reviewed, name: str
) -> None:
    reviewed.check(FOLDER / f"{name}.txt", tables.access(planned[name], world))


@pytest.mark.parametrize("name", variants.NAMES)
def test_the_roles_can_become_what_was_reviewed(
    planned: dict[str, Variant], world: World, reviewed: Reviewed, name: str
) -> None:
    graph_text = tables.role_graph(planned[name], world, graph.read_ways())

    reviewed.check(FOLDER / f"{name}_graph.txt", graph_text)


def test_the_documentation_says_who_may_do_what(
    planned: dict[str, Variant], world: World, reviewed: Reviewed
) -> None:
    page = REPOSITORY / "docs/security.md"
    before, _, rest = page.read_text().partition(MARK)
    _, _, after = rest.partition(END)
    written = tables.overview(planned["released"], world, graph.read_ways())

    reviewed.check(page, f"{before}{MARK}\n{written}{END}{after}")


@pytest.mark.parametrize("name", variants.NAMES)
def test_every_widened_or_narrowed_policy_is_caught(
    planned: dict[str, Variant], world: World, name: str
) -> None:
    survivors = []
    kinds = set()
    for role in planned[name].roles.values():
        before = _answers(role, world)
        for mutant in mutants.of_policies(role):
            kinds.add(mutant.kind.split(" ")[0])
            if not _differs(before, mutant.role, world) and not _broken_rules(mutant.role):
                survivors.append(mutant.what)

    assert survivors == []
    assert kinds == {"any", "action", "dropped", "one", "resource"}


@pytest.mark.parametrize("name", variants.NAMES)
def test_every_widened_or_narrowed_door_is_caught(
    planned: dict[str, Variant], world: World, name: str
) -> None:
    variant = planned[name]
    survivors = []
    for role in variant.roles.values():
        before = doors.takers(role, world, variant.roles)
        for what, trust in mutants.of_documents(role.trust, mutants.of_trust):
            changed = Role(name=role.name, trust=trust, policies=role.policies)
            if doors.takers(changed, world, variant.roles) == before:
                survivors.append(f"trust of {role.name}, {what}")
    for address, document in variant.doors.items():
        swings = doors.swings(document, world)
        for what, changed_document in mutants.of_documents(document, mutants.of_trust):
            if doors.swings(changed_document, world) == swings:
                survivors.append(f"{address}, {what}")

    assert survivors == []


def test_every_grant_allows_something(planned: dict[str, Variant], world: World) -> None:
    dead = []
    for variant in planned.values():
        for role in variant.roles.values():
            for policy, place, statement in role.statements:
                for pattern in as_list(statement["Action"]):
                    alone = {**statement, "Action": pattern}
                    only = {policy: {"Statement": [alone]}}
                    access = Role(name=role.name, trust=role.trust, policies=only).access(world)
                    if not any(access.lines(action) for action in covered(pattern)):
                        dead.append(f"{role.name}, {statement.get('Sid', place)}: {pattern}")

    assert dead == []


def test_no_statement_allows_by_wildcard_or_by_exception(planned: dict[str, Variant]) -> None:
    broken = [
        line
        for variant in planned.values()
        for role in variant.roles.values()
        for line in _broken_rules(role)
    ]

    assert broken == []


def test_what_is_allowed_everywhere_is_used_and_aws_does_not_scope_it(
    planned: dict[str, Variant],
) -> None:
    everywhere = {
        action
        for variant in planned.values()
        for role in variant.roles.values()
        for _, _, statement in role.statements
        if "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }

    assert everywhere == set(UNSCOPED)
    assert [
        name for name, why in UNSCOPED.items() if actions()[name].arn_patterns and not why
    ] == []


def _answers(role: Role, world: World) -> dict[str, list[str]]:
    access = role.access(world)
    return {action: access.lines(action) for action in access.candidates()}


def _differs(before: dict[str, list[str]], role: Role, world: World) -> bool:
    """Whether the sweep of a role says anything else; it stops at the first difference."""
    access = role.access(world)
    candidates = access.candidates()
    if set(before) - set(candidates):
        return True
    fresh = [action for action in candidates if action not in before]
    known = [action for action in candidates if action in before]
    return any(access.lines(action) != before.get(action, []) for action in [*fresh, *known])


def _broken_rules(role: Role) -> list[str]:
    """Rules that hold for every statement, whatever it allows."""
    lines = []
    for policy, place, statement in role.statements:
        where = f"{role.name}, {policy}, {statement.get('Sid', place)}"
        for key in ("NotAction", "NotResource", "NotPrincipal"):
            if key in statement:
                lines.append(f"{where}: {key} allows by exception")
        if not statement.get("Sid"):
            lines.append(f"{where}: a statement needs a Sid, so that a review can name it")
        actions_ = as_list(statement.get("Action"))
        lines += [f"{where}: action {action}" for action in actions_ if "*" in action]
        if "*" in as_list(statement.get("Resource")):
            lines += [f"{where}: {a} on every resource" for a in actions_ if a not in UNSCOPED]
    return lines
