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
    """head: frozen backbone, its features computed once. finetune: its layers learn too."""

    backbone: str = "resnet50"
    """Any classification network of torchvision, by its function name."""

    image_size_px: int = 224
    """Side of the square the network sees."""

    epochs: int = 10
    """Passes over the training pictures; all of them are made."""

    batch_size: int = 64
    """Pictures per step."""

    learning_rate: float = 0.003
    """Of AdamW, at its highest."""

    weight_decay: float = 0.0001
    """Decoupled decay of the weights."""

    hidden_units: int = 128
    """Width of the head's hidden layer; 0 is a linear head."""

    label_smoothing: float = 0.0
    """Share of the target spread over all classes, in training only."""

    solver: Literal["adam", "lbfgs", "ridge"] = "adam"
    """How a head is fitted; lbfgs (logistic regression) and ridge (closed form) fit linear ones."""

    views: int = 1
    """Distinct views of each training picture that a head sees; 1 is the plain one."""

    stages: int = 0
    """How many of the backbone's last stages learn in fine-tuning; 0 is all of them."""

    layer_rate_decay: float = 1.0
    """Each stage's rate as a share of the rate of the stage after it."""

    batch_norm: Literal["frozen", "adaptive"] = "frozen"
    """frozen: BatchNorm keeps the statistics it came with. adaptive: it follows the batches."""

    augmentation: Literal["none", "crop", "trivial"] = "crop"
    """none: the plain view. crop: random squares, mirrored. trivial: one random change on top."""

    mixup: float = 0.0
    """Alpha of the Beta distribution that pictures are mixed by; 0 mixes none."""

    ema_decay: float = 0.0
    """Of the moving average of the weights that is judged and kept; 0 keeps none."""

    warmup_epochs: float = 0.0
    """Over which the rate rises from zero; may be a fraction."""

    schedule: Literal["constant", "cosine"] = "constant"
    """What the rate does after the warm-up; cosine ends at zero."""

    clip_norm: float = 0.0
    """Longest gradient, as its L2 norm; 0 clips none."""

    accumulate: int = 1
    """Batches whose gradients make one step."""

    balanced: bool = False
    """Whether each class's loss is weighted by the inverse of its number of pictures."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 where it is measured to be faster and to agree, if the run is worth measuring."""

    compiled: Literal["auto", "never", "always"] = "auto"
    """Whether torch.compile is used; auto: where it is measured to pay."""

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
        require(
            self.solver == "adam" or self.hidden_units == 0,
            f"solver {self.solver} fits a linear head: set hidden_units to 0, not "
            f"{self.hidden_units}, or solver to adam.",
        )
        require(1 <= self.views <= 1000, "views must be 1 to 1000.")
        require(
            self.views == 1 or self.method == "head",
            f"views is {self.views}, but fine-tuning sees new ones in each epoch: set it to 1, or "
            "method to head.",
        )
        require(0 <= self.stages <= 100, "stages must be 0 (all) to 100.")
        require(0 < self.layer_rate_decay <= 1, "layer_rate_decay must be above 0 and at most 1.")
        require(0 <= self.mixup <= 10, "mixup must be 0 (none) to 10.")
        require(0 <= self.ema_decay < 1, "ema_decay must be 0 (none) to below 1.")
        require(0 <= self.warmup_epochs <= self.epochs, "warmup_epochs must be 0 to epochs.")
        require(self.clip_norm >= 0, "clip_norm must be 0 (none) or more.")
        require(1 <= self.accumulate <= 1024, "accumulate must be 1 to 1024.")
        require(0 <= self.seed < 2**32, "seed must be 0 to 4294967295.")


TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
"""Python writes True, JSON true."""


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
            merged[name] = TRUTHS[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            merged[name] = text  # parse() below names the field and the kind it wants
    return parse(Hyperparameters, merged, "hyperparameters")
