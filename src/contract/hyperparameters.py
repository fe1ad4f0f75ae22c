"""What training uses: config/hyperparameters.json, written by a person or by the tuner."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from contract.strict import parse, read_json, require


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameters:
    """How one model is trained."""

    method: Literal["head", "finetune"] = "head"
    """head: frozen backbone, its features computed once. finetune: every layer learns."""

    backbone: str = "resnet50"
    """Any classification network of torchvision, by its function name."""

    image_size_px: int = 224
    """Side of the square the network sees."""

    epochs: int = 10
    """Passes over the training pictures; all of them are made."""

    batch_size: int = 64
    """Pictures per step."""

    learning_rate: float = 0.003
    """Of Adam (head) or AdamW (finetune)."""

    weight_decay: float = 0.0001
    """Decoupled decay of the weights."""

    hidden_units: int = 128
    """Width of the head's hidden layer; 0 is a linear head."""

    label_smoothing: float = 0.0
    """Share of the target spread over all classes, in training only."""

    seed: int = 7
    """Same seed, same data, same machine: same numbers."""

    def __post_init__(self) -> None:
        require(self.backbone.isidentifier(), f"backbone is {self.backbone!r}; it must be a name.")
        require(32 <= self.image_size_px <= 1024, "image_size_px must be 32 to 1024.")
        require(1 <= self.epochs <= 10_000, "epochs must be 1 to 10000.")
        require(1 <= self.batch_size <= 65_536, "batch_size must be 1 to 65536.")
        require(0 < self.learning_rate <= 10, "learning_rate must be above 0 and at most 10.")
        require(0 <= self.weight_decay <= 1, "weight_decay must be 0 to 1.")
        require(0 <= self.hidden_units <= 65_536, "hidden_units must be 0 to 65536.")
        require(0 <= self.label_smoothing < 1, "label_smoothing must be 0 to below 1.")
        require(0 <= self.seed < 2**32, "seed must be 0 to 4294967295.")


def read_hyperparameters(path: Path) -> Hyperparameters:
    """Read and check config/hyperparameters.json.

    Raises:
        ContractError: the file is missing, misspelt or out of range.
    """
    made_by = "HYPERPARAMETERS=file names another, `git restore config`"
    return parse(Hyperparameters, read_json(path, made_by), path.name)


def from_text(values: dict[str, str], base: Hyperparameters) -> Hyperparameters:
    """Apply hyperparameters given as text, as SageMaker and a command line give them.

    Args:
        values: for example ``{"epochs": "5"}``.
        base: supplies what ``values`` does not name.

    Raises:
        ContractError: a name is unknown, or a text is not of the field's kind or range.
    """
    kinds: dict[str, type] = {
        f.name: type(getattr(base, f.name)) for f in dataclasses.fields(Hyperparameters)
    }
    merged: dict[str, Any] = dataclasses.asdict(base)
    for name, text in values.items():
        kind = kinds.get(name, str)
        try:
            merged[name] = kind(text)
        except ValueError:
            merged[name] = text  # parse() below names the field and the kind it wants
    return parse(Hyperparameters, merged, "hyperparameters")
