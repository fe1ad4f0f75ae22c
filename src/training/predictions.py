"""What the exported model answered to each held-out picture, kept for the report.

predictions.safetensors holds `<split>.logits_NK` (float32, before the temperature) and
`<split>.labels_N` (int64); predictions.json names the pictures, the classes and the model.

N = pictures of a split, K = classes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from contract.model_card import WEIGHTS_FILE, ModelCard
from contract.strict import ContractError, require
from training.data import Data

TENSORS_FILE = "predictions.safetensors"
NAMES_FILE = "predictions.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """A model's answers to one split."""

    files: tuple[str, ...]
    """Relative to the data folder, with forward slashes."""
    logits_NK: Tensor
    labels_N: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """A model's answers to all splits it was asked about."""

    weights_sha256: str
    """Of the model that answered."""
    classes: tuple[str, ...]
    splits: dict[str, Answers]


def write_predictions(
    folder: Path, data: Data, card: ModelCard, logits_NK: Mapping[str, Tensor]
) -> Predictions:
    """Write both files, so that a reader never sees one without its own other.

    Args:
        folder: receives them.
        data: the pictures.
        card: of the model that answered.
        logits_NK: by split, in the order of `data.split`.
    """
    splits = {}
    for split, logits in logits_NK.items():
        pictures = data.split(split)
        splits[split] = Answers(
            files=tuple(p.path.relative_to(data.root).as_posix() for p in pictures),
            logits_NK=logits.float().cpu().contiguous(),
            labels_N=torch.tensor(data.numbers(pictures)),
        )
    found = Predictions(
        weights_sha256=card.files[WEIGHTS_FILE], classes=data.classes, splits=splits
    )
    tensors = {f"{name}.logits_NK": part.logits_NK for name, part in splits.items()}
    tensors |= {f"{name}.labels_N": part.labels_N for name, part in splits.items()}
    names = {
        "schema_version": 1,
        "weights_sha256": found.weights_sha256,
        "classes": list(found.classes),
        "files": {name: list(part.files) for name, part in splits.items()},
    }
    (folder / NAMES_FILE).unlink(missing_ok=True)
    save_file(tensors, folder / TENSORS_FILE)
    partial = folder / f".{NAMES_FILE}"
    partial.write_text(json.dumps(names, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(folder / NAMES_FILE)
    return found


def read_predictions(folder: Path) -> Predictions:
    """Read both files.

    Raises:
        ContractError: one is missing, damaged, or does not belong to the other.
    """
    again = "train again to have both written."
    for name in (NAMES_FILE, TENSORS_FILE):
        require((folder / name).is_file(), f"{folder / name} is missing; {again}")
    try:
        names = json.loads((folder / NAMES_FILE).read_text(encoding="utf-8"))
        tensors = load_file(folder / TENSORS_FILE)
        splits = {
            name: Answers(
                files=tuple(files),
                logits_NK=tensors[f"{name}.logits_NK"],
                labels_N=tensors[f"{name}.labels_N"],
            )
            for name, files in names["files"].items()
        }
        classes, weights_sha256 = tuple(names["classes"]), names["weights_sha256"]
    except Exception as error:  # any damage shows as any error; a person needs one line
        raise ContractError(f"{folder / NAMES_FILE} is damaged ({error}); {again}") from None
    for name, part in splits.items():
        require(
            part.logits_NK.shape == (len(part.files), len(classes))
            and part.labels_N.shape == (len(part.files),),
            f"{folder / TENSORS_FILE}: {name} has another number of pictures or classes than "
            f"{NAMES_FILE}; {again}",
        )
    return Predictions(weights_sha256=weights_sha256, classes=classes, splits=splits)
