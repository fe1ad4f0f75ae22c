"""Each way of coming to act as another role is seen, on roles made up for it."""

from typing import Any

import pytest
from tests.infra.access import graph, sweep
from tests.infra.access.roles import Role
from tests.infra.access.sweep import World

BUCKET = "arn:aws:s3:::kennel-123456789012-us-east-1"
INSTANCE = "arn:aws:ec2:us-east-1:123456789012:instance/*"
NOBODY = {
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "none"}, "Action": "sts:AssumeRole"}]
}
ROLE = "arn:aws:iam::123456789012:role/"


@pytest.fixture(scope="module")
def world() -> World:
    return sweep.read_world()


def edges(world: World, *grants: tuple[str, str], other: Role, **condition: Any) -> graph.Edges:
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}
        for action, resource in grants
    ]
    someone = Role(name="someone", trust=NOBODY, policies={"all": {"Statement": statements}})
    roles = {"someone": someone, other.name: other}
    ways = graph.read_ways()
    ways["runs_as"]["someone"] = {"calls": [], "files": []}
    return graph.edges(roles, world, ways)


def role(name: str, service: str) -> Role:
    return Role(name=name, trust=_trust({"Service": service}), policies={})


def _trust(principal: dict[str, str]) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}


def test_a_role_is_handed_to_a_service_that_runs_it(world: World) -> None:
    found = edges(
        world,
        ("iam:PassRole", f"{ROLE}kennel-function"),
        ("lambda:CreateFunction", "arn:aws:lambda:us-east-1:123456789012:function:*"),
        other=role("kennel-function", "lambda.amazonaws.com"),
    )

    assert found == {
        ("someone", "kennel-function"): [
            "hands it to lambda.amazonaws.com with lambda:CreateFunction"
        ]
    }


def test_a_role_that_may_be_passed_elsewhere_only_leads_nowhere(world: World) -> None:
    found = edges(
        world,
        ("iam:PassRole", f"{ROLE}kennel-function"),
        ("lambda:CreateFunction", "*"),
        other=role("kennel-function", "lambda.amazonaws.com"),
        StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"},
    )

    assert found == {}


def test_a_role_that_starts_things_without_passing_leads_nowhere(world: World) -> None:
    grant = ("lambda:CreateFunction", "*")

    assert edges(world, grant, other=role("kennel-function", "lambda.amazonaws.com")) == {}


def test_a_role_takes_another_by_its_own_policy(world: World) -> None:
    found = edges(
        world,
        ("sts:AssumeRole", f"{ROLE}kennel-notebook"),
        other=role("kennel-notebook", "sagemaker.amazonaws.com"),
    )

    assert found == {("someone", "kennel-notebook"): ["takes it by sts:AssumeRole"]}


def test_a_role_takes_another_that_trusts_it(world: World) -> None:
    other = Role(name="kennel-notebook", trust=_trust({"AWS": f"{ROLE}someone"}), policies={})

    assert edges(world, other=other) == {
        ("someone", "kennel-notebook"): ["takes it by sts:AssumeRole"]
    }


@pytest.mark.parametrize("action", ["ssm:SendCommand", "ssm:StartSession"])
def test_a_role_sends_commands_to_the_machine_of_another(world: World, action: str) -> None:
    found = edges(world, (action, INSTANCE), other=role("kennel-training", "ec2.amazonaws.com"))

    assert found == {("someone", "kennel-training"): [f"changes what it runs with {action}"]}


def test_a_role_writes_what_another_executes(world: World) -> None:
    found = edges(
        world,
        ("s3:PutObject", f"{BUCKET}/model/*"),
        other=role("kennel-endpoint", "sagemaker.amazonaws.com"),
    )

    assert found == {
        ("someone", "kennel-endpoint"): [f"writes {BUCKET}/model/any/model.tar.gz, which it runs"]
    }


def test_a_role_rewrites_another(world: World) -> None:
    found = edges(
        world,
        ("iam:PutRolePolicy", f"{ROLE}kennel-*"),
        other=role("kennel-endpoint", "sagemaker.amazonaws.com"),
    )

    assert found == {("someone", "kennel-endpoint"): ["rewrites it with iam:PutRolePolicy"]}


def test_what_is_reached_over_others_is_reached() -> None:
    found: graph.Edges = {("a", "b"): ["x"], ("b", "c"): ["x"], ("c", "a"): ["x"], ("d", "a"): []}

    assert graph.reachable(found, "a") == ["b", "c"]
    assert graph.reachable(found, "d") == ["a", "b", "c"]


def test_a_role_of_which_nothing_is_said_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match=r"Say in ways.yaml what runs as kennel-new"):
        edges(world, other=role("kennel-new", "lambda.amazonaws.com"))
