"""model.json: what a model says of itself, and all that serving it needs besides its weights."""

import dataclasses
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from contract.runtimes import RuntimeCard
from contract.strict import ContractError, parse, read_json, require

CARD_FILE = "model.json"
GOLDEN_FILE = "golden.jpg"
WEIGHTS_FILE = "weights.safetensors"
SCHEMA_VERSION = 1
MAX_CARD_BYTES = 4 * 2**20
MAX_FILE_BYTES = 16 * 2**30
"""Of each file that the card lists."""
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSpec:
    """The picture that the network expects."""

    resize_px: int
    """The shorter side is scaled to so many pixels."""

    size_px: int
    """Then the centre square of this side is cut out."""

    mean: tuple[float, ...]
    """Per channel (red, green, blue), on a scale of 0 to 1; subtracted."""

    std: tuple[float, ...]
    """Per channel, on a scale of 0 to 1; divided by."""

    def __post_init__(self) -> None:
        require(1 <= self.size_px <= self.resize_px, "size_px must be 1 to resize_px.")
        require(len(self.mean) == 3 == len(self.std), "mean and std must have three numbers.")
        require(all(s > 0 for s in self.std), "std must be above 0.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """Which layers the weights belong to."""

    backbone: str
    """torchvision's function name."""

    hidden_units: int
    """Width of the head's hidden layer; 0 is a linear head."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """How good the model is on one split."""

    accuracy: float
    """Share of pictures whose first label is right, 0 to 1."""

    loss: float
    """Mean cross-entropy per picture, in nats."""

    pictures: int
    """How many were looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """A picture whose answer is known: servers warm up with it, deployments are verified by it."""

    file: str
    """JPEG beside the card."""

    label: str
    """The model's first label for it."""

    probability: float
    """Of that label, 0 to 1, as computed when the model was exported."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What it takes to train the same model again."""

    hyperparameters: dict[str, Any]
    """As `contract.hyperparameters` reads them."""

    pretrained_weights: str
    """`IMAGENET1K_V1` and the like, `file:<sha256>`, or `random`."""

    data_sha256: str
    """Of every picture's split, label and content."""

    code_sha256: str
    """Of the training package's sources."""

    libraries: dict[str, str]
    """Name and version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """One model."""

    schema_version: Literal[1]
    classes: tuple[str, ...]
    """Label of each output, in order."""
    input: InputSpec
    network: Network
    temperature: float
    """Logits are divided by it before the softmax."""
    validation: Metrics
    test: Metrics | None
    """Read once, after the model was chosen; null when there is no test split."""
    golden: Golden
    provenance: Provenance
    files: dict[str, str]
    """SHA-256 of every other file of the model, by name."""
    runtimes: tuple[RuntimeCard, ...] = ()
    """Faster ways to run it than the weights alone, accepted or not; `make package` adds them."""

    def __post_init__(self) -> None:
        require(len(self.classes) >= 2, "classes must name at least two labels.")
        require(len(set(self.classes)) == len(self.classes), "classes must not repeat a label.")
        require(self.temperature > 0, "temperature must be above 0.")
        for name in (WEIGHTS_FILE, self.golden.file):
            require(name in self.files, f"files must list {name}.")
        for name, digest in self.files.items():
            require(
                re.fullmatch(r"[A-Za-z0-9_.-]+", name) is not None and not name.startswith("."),
                f"files lists {name!r}; it must be a plain file name.",
            )
            require(
                re.fullmatch(r"[0-9a-f]{64}", digest) is not None,
                f"files[{name!r}] must be 64 lowercase hex digits.",
            )
        names = [runtime.name for runtime in self.runtimes]
        require(len(set(names)) == len(names), "runtimes must not repeat a name.")
        for runtime in self.runtimes:
            lacking = set(runtime.files) - self.files.keys() if runtime.accepted else set()
            require(
                not lacking,
                f"files must list {', '.join(sorted(lacking))}: {runtime.name} is accepted.",
            )


def write_card(card: ModelCard, folder: Path) -> None:
    """Write model.json, the same bytes for the same card."""
    text = json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def read_card(folder: Path) -> ModelCard:
    """Read model.json and check that the files beside it are the ones it describes.

    Raises:
        ContractError: the card is missing or wrong, or a file is missing or altered.
    """
    if os.path.lexists(folder / CARD_FILE):
        check_plain_file(folder / CARD_FILE, MAX_CARD_BYTES)
    raw = read_json(folder / CARD_FILE, "`make train`")
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise ContractError(
            f"{CARD_FILE}: schema_version is {version!r}; this release reads {SCHEMA_VERSION}. "
            "Train again, or use the release that made the model."
        )
    card = parse(ModelCard, raw, CARD_FILE)
    for name in card.files:
        require(
            os.path.lexists(folder / name),
            f"{folder / name} is missing, though {CARD_FILE} lists it; train again.",
        )
        check_plain_file(folder / name, MAX_FILE_BYTES)
    for name, wanted in card.files.items():
        found = file_sha256(folder / name)
        require(
            found == wanted,
            f"{folder / name} has SHA-256 {found}; {CARD_FILE} says {wanted}. "
            "It was altered: train again.",
        )
    return card


def check_plain_file(path: Path, most_bytes: int) -> None:
    """Refuse what is not a file of its own, before anything opens it.

    Raises:
        ContractError: it is a link, a folder, a device or a pipe, or too large.
    """
    found = path.lstat()
    kind = next((kind for is_kind, kind in _KINDS if is_kind(found.st_mode)), None)
    require(kind is None, f"{path} is {kind}; it must be a plain file.")
    require(found.st_nlink == 1, f"{path} has another name too (a hard link); copy it.")
    require(
        found.st_size <= most_bytes,
        f"{path} has {found.st_size:,} bytes; at most {most_bytes:,} are read.",
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 lowercase hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
