"""Every policy of the plan, asked about everything that AWS has, against reviewed tables."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.infra.access import bootstrap, doors, gates, graph, mutants, sweep, tables, variants
from tests.infra.access.roles import Role
from tests.infra.access.sweep import World
from tests.infra.access.variants import Variant
from tests.infra.conftest import INFRA, REPOSITORY
from tests.infra.reviewed import Reviewed

pytestmark = pytest.mark.slow
FOLDER = Path(variants.__file__).parent
EQUAL = {
    # Every ARN of what it speaks of begins as the one that it names.
    "module.network.aws_vpc_endpoint.s3[0], OwnBucketsOnly: resource *",
}
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
    kinds: set[str] = set()
    for role in planned[name].roles.values():
        kinds |= {mutant.kind.split(" ")[0] for mutant in mutants.of_policies(role)}
        survivors += gates.survivors(role, world)

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

    assert set(survivors) - EQUAL == set()


def test_every_statement_of_the_code_is_in_a_reviewed_plan(planned: dict[str, Variant]) -> None:
    text = "\n".join(file.read_text() for file in INFRA.rglob("*.tf"))
    written = set(re.findall(r'^ +sid += "(\w+)"', text, re.MULTILINE))
    documents = [d for variant in planned.values() for d in variant.doors.values()]
    documents += [d for role in _roles(planned) for d in (role.trust, *role.policies.values())]
    seen = {statement.get("Sid") for document in documents for statement in document["Statement"]}

    assert sorted(written - seen) == []


def test_every_grant_allows_something(planned: dict[str, Variant], world: World) -> None:
    assert [line for role in _roles(planned) for line in gates.dead_grants(role, world)] == []


def test_no_statement_allows_by_wildcard_or_by_exception(planned: dict[str, Variant]) -> None:
    assert [line for role in _roles(planned) for line in gates.broken_rules(role)] == []


def test_nothing_is_allowed_everywhere_by_a_pattern_that_only_looks_narrow(
    planned: dict[str, Variant], world: World
) -> None:
    assert {action for role in _roles(planned) for action in gates.unlimited(role, world)} == set()


def test_the_boundary_takes_nothing_from_a_role_that_it_needs(
    planned: dict[str, Variant], world: World
) -> None:
    less = []
    for role in planned["everything"].roles.values():
        within = replace(role.access(world), boundary=[bootstrap.boundary()])
        for action, lines in gates.answers(role, world).items():
            kept = within.lines(action)
            less += [f"{role.name}: {action} {line}" for line in lines if line not in kept]

    assert less == []


def test_the_boundary_lets_no_role_do_what_none_of_them_does(
    planned: dict[str, Variant], world: World
) -> None:
    used = {action for role in _roles(planned) for action in role.access(world).candidates()}
    allowed = set(bootstrap.at_most().access(world).candidates())

    assert sorted(allowed - used) == []


def _roles(planned: dict[str, Variant]) -> list[Role]:
    return [role for variant in planned.values() for role in variant.roles.values()]
