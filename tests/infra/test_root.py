"""The root module, planned for stages and variants."""

import dataclasses
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.infra import costs, expectations, stages
from tests.infra.conftest import INFRA, Folder

from contract.settings import settings_keys
from contract.stack import Stack

FILES = sorted(stages.STAGES.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_stage_plans_what_its_file_lists(root: Folder, file: Path, regenerate: bool) -> None:
    plan = root.plan(stages.variables(expectations.read(file)))

    expectations.check(plan, file, regenerate=regenerate, also=[costs.differences])
    assert costs.uncounted(plan) == []


def test_the_variables_are_the_settings_and_what_the_pipeline_adds() -> None:
    text = (INFRA / "variables.tf").read_text()

    declared = set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))

    assert declared == settings_keys() | {
        "function_trial",
        "image_tag",
        "live_instances",
        "release",
    }


@pytest.mark.slow
def test_the_output_is_the_stack_that_programs_read(root: Folder) -> None:
    plan = root.plan(stages.variables({"settings": "local", "released": True}))

    stack = expectations.known_output(plan, "stack")

    assert set(plan.output_changes) == {"stack"}
    assert _keys(stack, Stack) == []


@pytest.mark.slow
def test_every_role_has_the_boundary_and_all_but_the_function_may_use_the_buckets_key(
    root: Folder,
) -> None:
    wanted = expectations.read(stages.STAGES / "locked_down.yaml")
    boundary = wanted["changes"]["permissions_boundary_arn"]

    resources = expectations.all_resources(root.plan(stages.variables(wanted)))

    roles = [v for address, v in resources.items() if address.endswith(".aws_iam_role.this")]
    inline = [v for address, v in resources.items() if ".aws_iam_role_policy." in address]
    with_key = {v["role"] for v in inline if "kms:Decrypt" in v["policy"]}
    assert {role["permissions_boundary"] for role in roles} == {boundary}
    assert {role["name"] for role in roles} - with_key == {"kennel-function"}


def _keys(found: Mapping[str, Any], kind: Any) -> list[str]:
    """Keys that a plan knows and the dataclass does not have, and the other way round."""
    fields = typing.get_type_hints(kind)
    wrong = [f"{kind.__name__} has no field {key}" for key in found if key not in fields]
    for name, hint in fields.items():
        parts = [p for p in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(p)]
        if parts:
            wrong += _keys(found[name], parts[0])
    return wrong
