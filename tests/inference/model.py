"""A small model for tests: random weights, a card, a golden picture, packed like the archive."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tests.events.samples import picture

from contract.model_card import (
    GOLDEN_FILE,
    WEIGHTS_FILE,
    Golden,
    InputSpec,
    Metrics,
    ModelCard,
    Network,
    Provenance,
    file_sha256,
    write_card,
)
from contract.network import build_classifier
from contract.preprocessing import eval_view

CLASSES = ("collie", "corgi", "pug", "vizsla")
SOURCE = Path(__file__).parents[2] / "src"
_SPEC = InputSpec(resize_px=73, size_px=64, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_NETWORK = Network(backbone="mobilenet_v3_small", hidden_units=8)


def build_model(folder: Path) -> ModelCard:
    """Write a complete model folder; the same seed gives the same weights."""
    folder.mkdir(parents=True)
    torch.manual_seed(7)
    network = build_classifier(_NETWORK, len(CLASSES)).eval()
    save_file(network.state_dict(), folder / WEIGHTS_FILE)
    (folder / GOLDEN_FILE).write_bytes(picture("rgb.jpg"))
    with torch.inference_mode():
        image_BCSS = torch.from_numpy(eval_view(picture("rgb.jpg"), _SPEC)[None])
        probabilities_K = network(image_BCSS).softmax(dim=1)[0].numpy()
    best = int(np.argmax(probabilities_K))
    card = ModelCard(
        schema_version=1,
        classes=CLASSES,
        input=_SPEC,
        network=_NETWORK,
        temperature=1.0,
        validation=Metrics(accuracy=0.5, loss=1.0, pictures=4),
        test=None,
        golden=Golden(
            file=GOLDEN_FILE, label=CLASSES[best], probability=float(probabilities_K[best])
        ),
        provenance=Provenance(
            hyperparameters={},
            pretrained_weights="random",
            data_sha256="0" * 64,
            code_sha256="0" * 64,
            libraries={"torch": torch.__version__},
        ),
        files={name: file_sha256(folder / name) for name in (WEIGHTS_FILE, GOLDEN_FILE)},
    )
    write_card(card, folder)
    return card


def add_code(folder: Path) -> None:
    """Put the serving code beside the model, as the archive has it."""
    code = folder / "code"
    for room in ("contract", "inference"):
        ignored = shutil.ignore_patterns("__pycache__", "entry")
        shutil.copytree(SOURCE / room, code / room, ignore=ignored)
    for path in (SOURCE / "inference" / "entry").iterdir():
        if path.is_file():
            shutil.copy(path, code)


def rewrite_card(folder: Path, card: ModelCard, **changes: object) -> None:
    """Write the card again with other values."""
    write_card(dataclasses.replace(card, **changes), folder)  # type: ignore[arg-type]  # by name
