"""A first deployment that is killed on its way, and two more that come in between."""

import pytest
from tests.e2e.killing import POINTS, Kills
from tests.e2e.stage import Stage

from pipeline.turns import here

pytestmark = pytest.mark.slow


def test_applies_that_are_killed_are_finished_by_the_next_one(kills: Kills) -> None:
    assert kills.code == 0, kills.output
    assert len(kills.points) == len(POINTS)
    assert "answers its golden picture" in kills.output


def test_unlock_removes_the_lock_of_a_killed_command_and_names_it(kills: Kills) -> None:
    assert f"{here()} holds the lock" in kills.unlocked
    assert "Removed the lock" in kills.unlocked


def test_an_apply_in_the_same_folder_as_another_names_its_process(kills: Kills) -> None:
    same_folder, _ = kills.refused

    assert "Error: Process " in same_folder
    assert "Wait until it has ended" in same_folder


def test_an_apply_elsewhere_says_who_holds_the_lock(kills: Kills) -> None:
    _, elsewhere = kills.refused

    assert f"Error: {here()} holds the lock of the state since" in elsewhere
    assert "make unlock" in elsewhere


def test_killed_applies_leave_no_orphan(deployed: Stage) -> None:
    ec2, sagemaker = deployed.client("ec2"), deployed.client("sagemaker")
    instances = [
        instance
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]

    assert [i["InstanceId"] for i in instances] == [deployed.stack.ec2_training.instance_id]
    assert len(ec2.describe_launch_templates()["LaunchTemplates"]) == 1
    assert len(sagemaker.list_models()["Models"]) == 1
    assert len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1
    assert "No changes" in deployed.make("plan")
