"""Bad values are refused with the sentence written for them."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.infra import expectations, stages
from tests.infra.conftest import INFRA, Folder, Workshop

BAD_VALUES = expectations.read(Path(__file__).with_name("bad_values.yaml"))
ARCHIVE = {"key": "archive", "sha256": stages.SHA256}
BUCKET = {"name": "kennel"}
NEEDED: dict[str, dict[str, Any]] = {
    "ec2_training": {"bucket": BUCKET, "name": "kennel"},
    "endpoint": {"bucket": BUCKET, "model": ARCHIVE, "name": "kennel"},
    "iam": {"description": "A role.", "name": "kennel", "service": "lambda.amazonaws.com"},
    "image": {"bucket": BUCKET, "name": "kennel"},
    "lambda": {
        "archive": ARCHIVE,
        "bucket_name": "kennel",
        "endpoint": {"arn": "arn", "name": "kennel"},
        "name": "kennel",
    },
    "monitoring": {"name": "kennel"},
    "network": {"name": "kennel"},
    "notebook": {
        "bucket": BUCKET,
        "endpoint": {"instance_type": "ml.c7i.large", "name": "kennel-notebook"},
        "job_prefix": "kennel",
        "job_type": "ml.m5.xlarge",
        "name": "kennel",
        "training_job_role_arn": "arn",
    },
    "storage": {"name": "kennel"},
    "training_job": {"bucket": BUCKET, "name": "kennel"},
}


@pytest.fixture(scope="module")
def complaints(workshop: Workshop) -> dict[str, dict[str, Counter[str]]]:
    """What Terraform said to each call of a module: all calls of a part share one plan."""
    return {part: _complaints(workshop, part) for part in ("modules", "pairs")}


def _complaints(workshop: Workshop, part: str) -> dict[str, Counter[str]]:
    calls = {_name(row): {"source": f"./modules/{row['module']}"} for row in BAD_VALUES[part]}
    for row in BAD_VALUES[part]:
        calls[_name(row)] |= {**NEEDED[row["module"]], **row["bad"]}
    files = {
        f"{name}.tf.json": json.dumps({"module": {name: call}}) for name, call in calls.items()
    }
    said: dict[str, Counter[str]] = {name: Counter() for name in calls}
    for diagnostic in workshop.folder(part, files).complaints({}):
        said[diagnostic["range"]["filename"].removesuffix(".tf.json")][_sentence(diagnostic)] += 1
    return said


def _name(row: dict[str, Any]) -> str:
    """A module's name for one bad value."""
    return f"{row['module']}_{hashlib.sha256(json.dumps(row).encode()).hexdigest()[:8]}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "row"),
    [(part, row) for part in ("modules", "pairs") for row in BAD_VALUES[part]],
    ids=lambda value: value if isinstance(value, str) else _name(value),
)
def test_a_bad_value_of_a_module_is_refused_in_its_own_words(
    complaints: dict[str, dict[str, Counter[str]]], part: str, row: dict[str, Any]
) -> None:
    assert dict(complaints[part][_name(row)]) == {row["says"]: 1}


@pytest.mark.slow
def test_bad_values_of_the_root_are_refused_in_their_own_words(root: Folder) -> None:
    values = stages.settings("local")
    for row in BAD_VALUES["root"]:
        values.update(row["bad"])

    found = root.complaints(values, region="us-east-1")

    assert {_sentence(diagnostic) for diagnostic in found} == {
        row["says"] for row in BAD_VALUES["root"]
    }


@pytest.mark.slow
def test_another_region_than_the_settings_say_is_refused_before_anything_is_planned(
    root: Folder,
) -> None:
    values = {**stages.variables({"settings": "local"}), "region": "eu-central-1"}

    found = root.complaints(values, region="us-east-1")

    assert [diagnostic["detail"] for diagnostic in found] == [
        "The environment's region is us-east-1, the settings of stage 'local' say eu-central-1. "
        "Set AWS_REGION=eu-central-1, or change region in config/local.tfvars.json."
    ]


def test_every_validation_of_the_modules_has_a_bad_value() -> None:
    written = sum(file.read_text().count("validation {") for file in INFRA.rglob("variables.tf"))
    sentences = {row["says"] for part in BAD_VALUES.values() for row in part}
    # `name` is checked alike by the root and by storage.
    assert written == len(sentences) + 1


def _sentence(diagnostic: dict[str, Any]) -> str:
    detail: str = diagnostic["detail"]
    return detail.partition("\n\n")[0]
