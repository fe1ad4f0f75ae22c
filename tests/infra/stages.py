"""The stages that are planned: settings of config/ with a few things changed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.infra.conftest import REPOSITORY

STAGES = Path(__file__).with_name("stages")
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
"""Of the four bytes `test`."""

IMAGE_TAG = SHA256[:16]


def release(model: str = SHA256) -> dict[str, dict[str, str]]:
    """A release whose function and training code never change."""
    return {
        "function": {"key": f"function/{SHA256}/function.zip", "sha256": SHA256},
        "model": {"key": f"model/{model}/model.tar.gz", "sha256": model},
        "training": {"key": f"training/{SHA256}/training.tar.gz", "sha256": SHA256},
    }


def settings(stage: str) -> dict[str, Any]:
    """One file of config/."""
    read: dict[str, Any] = json.loads((REPOSITORY / f"config/{stage}.tfvars.json").read_text())
    return read


def variables(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The root module's variables of a YAML file in stages/."""
    values = settings(wanted["settings"])
    values["region"] = wanted.get("region", values["region"])
    for key, change in wanted.get("changes", {}).items():
        values[key] = {**(values.get(key) or {}), **change} if isinstance(change, dict) else change
    if values["endpoint"]["image"] == "own":
        values["image_tag"] = IMAGE_TAG
    if wanted.get("released"):
        values["release"] = release()
    return values
