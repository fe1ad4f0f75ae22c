"""Everything runs with the rights of the project's own roles, and they have none too many.

The tests run in the order of this file: the deployer makes and uses a stage, each role is tried
with each of its statements taken away, and the deployer takes the stage down.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.decided import Decisions, Statement, statements, without
from tests.e2e.flows.building import BuildFlows
from tests.e2e.flows.flow import Flow, Flows
from tests.e2e.flows.serving import EndpointFlows, FunctionFlows
from tests.e2e.flows.training import JobFlows, MachineFlows, NotebookFlows
from tests.e2e.stage import HYPERPARAMETERS, Stage

from contract.settings import read_settings
from localaws.iam.evaluator import Policies, refusal
from localaws.iam.matching import as_list
from pipeline.bootstrap import project_of
from pipeline.deployer import deployer_policies

pytestmark = pytest.mark.slow
ROLE = "ROLE=kennel-deployer"
CHANGED = {
    "endpoint": {"pictures_prefix": "pictures/"},
    "function": {
        "api": {"burst": 10, "requests_per_second": 5},
        "batch": {"prefix": "pictures/incoming/", "results_prefix": "results/"},
        "dead_letters": True,
        "traced": True,
    },
    "max_monthly_usd": 1000,
    "monitoring": {"alarm_email": "keeper@example.com"},
    "network": {"mode": "own"},
    "permissions_boundary_arn": "arn:aws:iam::123456789012:policy/kennel-boundary",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, str]]:
    """A stage that a deployer has made, and the knob for its settings."""
    stage = Stage(build=tmp_path_factory.mktemp("roles") / "build")
    try:
        stage.make("data")
        settings = stage.settings(**CHANGED)
        stage.make("train", HYPERPARAMETERS)
        stage.make("package")
        stage.make("bootstrap", settings)
        stage.make("apply", settings, ROLE)
        yield stage, settings
    finally:
        stage.make("local-down")


@pytest.fixture(scope="module")
def decisions(prepared: tuple[Stage, str]) -> Decisions:
    return Decisions(prepared[0].build / "local" / "decisions.jsonl")


def test_the_deployer_looks_predicts_trains_deploys_and_goes_back(
    prepared: tuple[Stage, str], tmp_path: Path
) -> None:
    stage, settings = prepared
    first = stage.stack.model_version
    other = tmp_path / "hyperparameters.json"
    values = json.loads(Path("examples/hyperparameters.json").read_text()) | {"seed": 8}
    other.write_text(json.dumps(values))

    stage.make("doctor", settings, ROLE)
    stage.make("predict", settings, ROLE, f"IMAGE={stage.picture()}")
    stage.make("train-ec2", settings, ROLE, HYPERPARAMETERS)
    stage.make("train-sagemaker", settings, ROLE, f"HYPERPARAMETERS={other}")
    stage.make("package")
    stage.make("apply", settings, ROLE)
    second = stage.stack.model_version
    stage.make("rollback", settings, ROLE)

    assert first != second
    assert stage.stack.model_version == first


@pytest.mark.parametrize(
    "kind",
    [FunctionFlows, EndpointFlows, JobFlows, MachineFlows, NotebookFlows, BuildFlows],
    ids=lambda kind: kind.role,
)
def test_every_statement_of_a_role_is_needed(
    prepared: tuple[Stage, str], decisions: Decisions, kind: type[Flows]
) -> None:
    stage, _ = prepared
    flows = kind(stage, decisions)
    iam, role = stage.client("iam"), f"{stage.stack.name}-{kind.role}"
    own, others = flows.by_statement(), flows.by_policy()
    known = [
        (f"{policy}.{statement['Sid']}", policy, statement, others.get(policy) or own.get(sid))
        for policy, statement in statements(iam, role)
        for sid in [statement["Sid"]]
    ]
    purposeless = [name for name, _, _, flow in known if flow is None]
    assert not purposeless, "No flow shows what these are for."
    # A flow of several statements is tried once with all rights.
    tried = {flow: name for name, _, _, flow in reversed(known) if flow is not None}
    assert [name for flow, name in tried.items() if not flow()] == []

    found = {
        name: refused_without(iam, role, policy, statement, flow, decisions)
        for name, policy, statement, flow in known
        if flow is not None
    }

    assert [name for name, refused in found.items() if not refused] == []


def refused_without(
    iam: Any, role: str, policy: str, statement: Statement, flow: Flow, decisions: Decisions
) -> list[str]:
    """The statement's actions that were refused, once it was gone and the flow did not work."""
    before = len(decisions.refused())
    with without(iam, role, policy, statement):
        worked = flow()
        refused = [d for d in decisions.refused()[before:] if d.role == role]
    given = {action.lower() for action in as_list(statement["Action"])}
    return [d.question.action for d in refused if d.question.action.lower() in given and not worked]


def test_the_deployer_leaves_only_what_bootstrap_made(prepared: tuple[Stage, str]) -> None:
    stage, settings = prepared

    told = stage.make("destroy", settings, ROLE)

    assert "Nothing else with the name kennel is left." in told
    assert "Kept: what `make bootstrap` made." in told


def test_the_deployer_was_never_refused_and_needs_every_statement(
    prepared: tuple[Stage, str], decisions: Decisions
) -> None:
    _, settings = prepared
    asked = [d for d in decisions.all() if d.role == "kennel-deployer"]
    project = project_of(read_settings(Path(settings.partition("=")[2])), "123456789012")
    policies = list(deployer_policies(project).values())

    needless = [
        statement["Sid"]
        for policy in policies
        for statement in policy["Statement"]
        if not any(
            refusal(decision.question, Policies(identity=less(policies, statement)))
            for decision in asked
        )
    ]

    assert [(d.question.action, d.question.resource) for d in asked if d.why_not] == []
    assert needless == []


def less(policies: list[dict[str, Any]], statement: Statement) -> list[dict[str, Any]]:
    """Policies without one statement."""
    return [
        {**policy, "Statement": [one for one in policy["Statement"] if one is not statement]}
        for policy in policies
    ]


def test_bootstrap_removes_what_it_made(prepared: tuple[Stage, str]) -> None:
    stage, settings = prepared

    stage.make("bootstrap", settings, "REMOVE=1")

    iam = stage.client("iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    assert [name for name in names if name.startswith("kennel")] == []
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert stage.client("s3").list_buckets()["Buckets"] == []
