"""Writes the model folder: weights, card and a picture whose answer is known.

C = 3 channels (RGB), S = side of the network's input in pixels, K = classes, N = pictures.
"""

import hashlib
import io
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from contract.model_card import (
    CARD_FILE,
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
from contract.network import Classifier
from contract.preprocessing import decode, eval_view
from training.answers import one_thread
from training.data import Picture

LIBRARIES = ("numpy", "pillow", "safetensors", "torch", "torchvision")
GOLDEN_QUALITY = 90
GOLDEN_CANDIDATES = 20


def export(
    folder: Path,
    classifier: Classifier,
    *,
    classes: tuple[str, ...],
    spec: InputSpec,
    network: Network,
    temperature: float,
    validation: Metrics,
    test: Metrics | None,
    candidates: Sequence[Picture],
    provenance: Provenance,
) -> ModelCard:
    """Write the model so that a reader sees the old one, or the new one, or a refusal.

    Files are made in a folder inside and moved into place, the card last; a card beside files
    that are not its own is refused by `contract.model_card.read_card`.

    Args:
        folder: of the model.
        classifier: trained.
        classes: label of each output.
        spec: what the network expects.
        network: which layers it has.
        temperature: divides logits.
        validation: how good it is there.
        test: how good it is there, if there is a test split.
        candidates: for the golden picture, best first.
        provenance: how to train it again.

    Returns:
        The card.
    """
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    classifier.cpu().eval()
    state = {name: value.contiguous() for name, value in classifier.state_dict().items()}
    save_file(state, partial / WEIGHTS_FILE)
    golden = write_golden(partial, classifier, candidates, spec, temperature, classes)
    card = ModelCard(
        schema_version=1,
        classes=classes,
        input=spec,
        network=network,
        temperature=temperature,
        validation=validation,
        test=test,
        golden=golden,
        provenance=provenance,
        files={name: file_sha256(partial / name) for name in (WEIGHTS_FILE, GOLDEN_FILE)},
    )
    write_card(card, partial)
    for name in (WEIGHTS_FILE, GOLDEN_FILE, CARD_FILE):
        (partial / name).replace(folder / name)
    partial.rmdir()
    return card


def golden_candidates(
    pictures: Sequence[Picture], logits_NK: Tensor, labels_N: Tensor
) -> list[Picture]:
    """Pictures that are answered rightly and most surely; any, if none is right."""
    sure_N, first_N = logits_NK.softmax(1).max(1)
    score_N = sure_N + (first_N == labels_N)
    order = sorted(range(len(pictures)), key=lambda i: (-score_N[i].item(), pictures[i].sha256))
    return [pictures[i] for i in order[:GOLDEN_CANDIDATES]]


def write_golden(
    folder: Path,
    classifier: Classifier,
    candidates: Sequence[Picture],
    spec: InputSpec,
    temperature: float,
    classes: tuple[str, ...],
) -> Golden:
    """Save a small copy of the best candidate that is still answered rightly as a copy."""
    copies = [shrunk(picture.path.read_bytes(), spec) for picture in candidates]
    with one_thread():  # or the card's probability would depend on the number of cores
        replies = [answer(classifier, data, spec, temperature, classes) for data in copies]
    right = [i for i, reply in enumerate(replies) if reply[0] == candidates[i].label]
    chosen = right[0] if right else 0
    (folder / GOLDEN_FILE).write_bytes(copies[chosen])
    label, probability = replies[chosen]
    return Golden(file=GOLDEN_FILE, label=label, probability=probability)


def shrunk(data: bytes, spec: InputSpec) -> bytes:
    """A JPEG whose shorter side is at most twice what the network needs."""
    image = decode(data, spec.resize_px)
    scale = min(1.0, 2 * spec.resize_px / min(image.size))
    size = (round(image.width * scale), round(image.height * scale))
    file = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=GOLDEN_QUALITY)
    return file.getvalue()


@torch.inference_mode()
def answer(
    classifier: Classifier,
    data: bytes,
    spec: InputSpec,
    temperature: float,
    classes: tuple[str, ...],
) -> tuple[str, float]:
    """First label and its probability, computed as serving computes it."""
    image_CSS = torch.from_numpy(eval_view(data, spec))
    probabilities_K = (classifier(image_CSS[None])[0] / temperature).softmax(0)
    index = int(probabilities_K.argmax())
    return classes[index], float(probabilities_K[index])


def provenance(hyperparameters: dict[str, Any], weights: str, data_sha256: str) -> Provenance:
    """What it takes to train the same model again."""
    return Provenance(
        hyperparameters=hyperparameters,
        pretrained_weights=weights,
        data_sha256=data_sha256,
        code_sha256=code_sha256(),
        libraries={name: version(name) for name in LIBRARIES},
    )


def code_sha256() -> str:
    """Of this package's modules, wherever they lie; `entry/` is not a part of it everywhere."""
    digest, root = hashlib.sha256(), Path(__file__).parent
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    for name in sorted(name for name in files if not name.startswith("entry/")):
        digest.update(f"{name}\t{file_sha256(files[name])}\n".encode())
    return digest.hexdigest()
