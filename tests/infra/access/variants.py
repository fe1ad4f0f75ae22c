"""Plans the variants of variants.yaml, all in one go, with the ids they are told."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.infra import stages
from tests.infra.access import doors, roles
from tests.infra.access.doors import Document
from tests.infra.access.roles import Role
from tests.infra.conftest import DIED, Folder

FILE = Path(__file__).with_name("variants.yaml")
NAMES = list(yaml.safe_load(FILE.read_text()))


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What one plan says about access."""

    changes: list[dict[str, Any]]
    roles: dict[str, Role]
    doors: dict[str, Document]


def plan(folder: Folder) -> dict[str, Variant]:
    """Every variant by its name.

    Raises:
        AssertionError: Terraform could not plan one.
    """
    wanted = yaml.safe_load(FILE.read_text())
    runs = {name: _run(variant) for name, variant in wanted.items()}
    tests = folder.path / "tests"
    tests.mkdir(exist_ok=True)
    (tests / "access.tftest.json").write_text(json.dumps({"run": runs}))
    lines = _test(folder)
    plans = {line["@testrun"]: line["test_plan"] for line in lines if line["type"] == "test_plan"}
    complaints = [line["diagnostic"] for line in lines if line["type"] == "diagnostic"]
    assert set(plans) == set(runs), complaints
    return {name: _variant(plan["resource_changes"]) for name, plan in plans.items()}


def _run(wanted: Mapping[str, Any]) -> dict[str, Any]:
    told = [
        {"target": target, "values": values, "override_during": "plan"}
        for target, values in wanted.get("known", {}).items()
    ]
    return {
        "command": "plan",
        "variables": stages.variables(wanted),
        "override_resource": told,
    }


def _test(folder: Folder) -> list[dict[str, Any]]:
    command = ["terraform", "test", "-json", "-verbose"]
    environment = folder.environment({})
    for _ in range(2):
        done = subprocess.run(
            command, cwd=folder.path, env=environment, capture_output=True, text=True
        )
        if DIED not in done.stdout:
            break
    return [json.loads(line) for line in done.stdout.splitlines()]


def _variant(changes: list[dict[str, Any]]) -> Variant:
    return Variant(changes=changes, roles=roles.read(changes), doors=doors.read(changes))
