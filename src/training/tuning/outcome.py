"""Writes what a search found into config/hyperparameters.json."""

import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from contract.hyperparameters import Hyperparameters
from contract.search_space import SearchSpace
from contract.strict import parse, read_json
from training.tuning.words import shown

DEFAULTS = {f.name: f.default for f in fields(Hyperparameters) if f.default is not MISSING}


def write_outcome(path: Path, space: SearchSpace, chosen: Hyperparameters) -> dict[str, str]:
    """Change the searched hyperparameters of a file and nothing else in it.

    A reader sees the old file or the new one.

    Args:
        path: of the hyperparameters.
        space: names those that were searched.
        chosen: the best trial's.

    Returns:
        What changed: name to `old -> new`.

    Raises:
        ContractError: the file is not what it was when the search began.
    """
    before = read_json(path, "`git restore config`")
    parse(Hyperparameters, before, path.name)
    after = merged(before, space, chosen)
    parse(Hyperparameters, after, path.name)
    changes = {
        name: f"{shown(before.get(name, DEFAULTS[name]))} -> {shown(value)}"
        for name, value in after.items()
        if before.get(name, DEFAULTS[name]) != value
    }
    if changes:
        replace(path, json.dumps(after, indent=2) + "\n")
    return changes


def merged(
    before: Mapping[str, Any], space: SearchSpace, chosen: Hyperparameters
) -> dict[str, Any]:
    """The file's content with the chosen values; a field that has its default stays unsaid."""
    values = asdict(chosen)
    return dict(before) | {
        name: values[name]
        for name in space.space
        if name in before or values[name] != DEFAULTS[name]
    }


def replace(path: Path, text: str) -> None:
    """Write a file so that it is the old one or the new one, whenever the machine stops."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
