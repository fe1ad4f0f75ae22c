"""What crosses from a search to its workers, as JSON."""

import dataclasses
from pathlib import Path
from typing import Any

from contract.hyperparameters import Hyperparameters
from contract.strict import parse
from training.data import Data, Picture


def without_test(data: Data) -> Data:
    """The pictures that a search may look at; no worker even knows of others."""
    pictures = tuple(picture for picture in data.pictures if picture.split != "test")
    return dataclasses.replace(data, pictures=pictures, left_out=(), doubts=())


def data_to(data: Data) -> dict[str, Any]:
    """The pictures of a dataset and their labels, without what was left out."""
    pictures = [dataclasses.asdict(p) | {"path": str(p.path)} for p in data.pictures]
    return {"root": str(data.root), "classes": data.classes, "pictures": pictures}


def data_from(text: dict[str, Any]) -> Data:
    """The same, read."""
    return Data(
        root=Path(text["root"]),
        classes=tuple(text["classes"]),
        pictures=tuple(Picture(**p | {"path": Path(p["path"])}) for p in text["pictures"]),
        left_out=(),
    )


def settings_from(text: dict[str, Any]) -> Hyperparameters:
    """A trial's settings, checked."""
    return parse(Hyperparameters, text, "hyperparameters")
