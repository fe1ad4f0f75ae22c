"""What every side is given: one network with its weights, in each side's form, and pictures.

K = classes, F = features, N = pictures.
"""

import io
import itertools
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.training.random_weights import save_random_weights
from benchmarks.training.rows import Setup
from examples.draw_photos import BREEDS, draw_folder, draw_photo
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from contract.hyperparameters import Hyperparameters
from contract.model_card import InputSpec, Metrics, Network
from contract.network import Classifier, build_classifier
from contract.preprocessing import eval_view
from contract.strict import require
from pipeline.package import MODEL_ARCHIVE, package_model
from training.data import Picture, read_data
from training.export import export, provenance
from training.run import input_spec
from training.solvers import closed_form_head

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
CLASSES = 133
SIZES_PX = (500, 1600, 4032)
"""Longer sides of the pictures; the shorter ones are three quarters."""
QUALITY, GRAIN = 90, {500: 9.0, 1600: 6.0, 4032: 5.0}
"""JPEG quality, and how far pixels scatter: it makes files as large as a camera's."""
PICTURES = 4
"""Different ones of each size, sent in turn."""
_SEED, _BATCH = 7, 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """Everything that was prepared."""

    home: Path
    base: Path
    """What a container has as /opt/ml: `model/` with our archive's files and its `code/`."""
    build: Path
    """What `make train` and `make package` leave; `model/` and the archives."""
    weights: Path
    """torchvision's state dict, as safetensors."""
    photos: Path
    """Labelled: train/, valid/, test/."""
    classes: tuple[str, ...]
    pictures: dict[int, list[bytes]]
    """JPEGs by their longer side."""
    validation: list[tuple[bytes, str]]
    """JPEGs of photos, and the label that the network gives them in fp32."""


def prepare(home: Path) -> Material:
    """Make what is not there yet; a folder that is kept saves most of the time."""
    home.mkdir(parents=True, exist_ok=True)
    photos = home / "photos"
    if not photos.exists():
        draw_folder(photos, _SEED, per_class=40)
        for planted in photos.rglob("*_broken.jpg"):
            planted.unlink()
    whole = home / "resnet50.safetensors"
    setup = Setup(
        data=photos, backbone="resnet50", weights=home / "random.safetensors", image_size_px=224,
        epochs=1, batch_size=32, learning_rate=0.001, seed=_SEED, scratch=home,
    )  # fmt: skip
    if not (home / "answers.json").exists():
        save_random_weights(setup, sorted((photos / "train").rglob("*.jpg"))[::8])
        _make_model(home, photos, setup.weights, whole)
    _add_runtimes(home, photos)
    _unpack(home)
    answers: dict[str, str] = json.loads((home / "answers.json").read_text())
    card = json.loads((home / "ml" / "model" / "model.json").read_text())
    return Material(
        home=home, base=home / "ml", build=home / "build", weights=whole, photos=photos,
        classes=tuple(card["classes"]),
        pictures={size: draw_pictures(home / "pictures", size) for size in SIZES_PX},
        validation=[((photos / name).read_bytes(), label) for name, label in answers.items()],
    )  # fmt: skip


def draw_pictures(folder: Path, longer_px: int) -> list[bytes]:
    """Photos of dogs of one size, with a camera's grain."""
    folder.mkdir(exist_ok=True)
    size, made = (longer_px, longer_px * 3 // 4), []
    for number in range(PICTURES):
        path = folder / f"{longer_px}-{number}.jpg"
        if not path.exists():
            chance = np.random.default_rng([_SEED, longer_px, number])
            photo = draw_photo(BREEDS[number % len(BREEDS)], chance)
            large = photo.filter(ImageFilter.MedianFilter(3)).resize(size, Image.Resampling.BICUBIC)
            grain = chance.normal(0, GRAIN[longer_px], (size[1], size[0], 1)).astype(np.float32)
            pixels = np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
            path.write_bytes(file.getvalue())
        made.append(path.read_bytes())
    return made


def _make_model(home: Path, photos: Path, random: Path, whole: Path) -> None:
    """Fit the head, and write the model as torchvision's, as ours, and what it answers in fp32."""
    settings = Hyperparameters(backbone="resnet50", image_size_px=224)
    spec, network = input_spec(settings), Network(backbone="resnet50", hidden_units=0)
    torch.manual_seed(_SEED)
    classifier = build_classifier(network, CLASSES).eval()
    state = {k: v for k, v in load_file(random).items() if not k.startswith("fc.")}
    classifier.backbone.load_state_dict(state)
    data = read_data(photos)
    train, valid = data.split("train"), data.split("valid") + data.split("test")
    classes = (*data.classes, *(f"class{k:03}" for k in range(len(data.classes), CLASSES)))
    train_N, valid_N = (torch.as_tensor(data.numbers(part)) for part in (train, valid))
    valid_NF = _features(classifier, valid, spec)
    fitted = closed_form_head(
        _features(classifier, train, spec), train_N, valid_NF, valid_N, CLASSES, solver="lbfgs"
    )
    classifier.head = fitted.head.requires_grad_(False)
    logits_NK = classifier.head(valid_NF)
    export(
        home / "build" / "model", classifier, classes=classes, spec=spec, network=network,
        temperature=1.0, test=None, candidates=valid[:20],
        validation=Metrics(
            accuracy=float((logits_NK.argmax(1) == valid_N).float().mean()),
            loss=float(cross_entropy(logits_NK, valid_N)), pictures=len(valid),
        ),
        provenance=provenance({}, "random", data.sha256),
    )  # fmt: skip
    state |= {"fc.weight": classifier.head.weight, "fc.bias": classifier.head.bias}
    save_file({name: value.detach().contiguous() for name, value in state.items()}, whole)
    answers = {
        str(picture.path.relative_to(photos)): classes[int(k)]
        for picture, k in zip(valid, logits_NK.argmax(1), strict=True)
    }
    (home / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


@torch.inference_mode()
def _features(classifier: Classifier, pictures: Sequence[Picture], spec: InputSpec) -> Tensor:
    """What the backbone says of each picture: (N, F)."""
    views = (torch.from_numpy(eval_view(p.path.read_bytes(), spec)) for p in pictures)
    batches = iter(lambda: list(itertools.islice(views, _BATCH)), [])
    return torch.cat([classifier.backbone(torch.stack(batch)) for batch in batches])


def _add_runtimes(home: Path, photos: Path) -> None:
    """What `make package` exports beside the weights; nothing if it is there already."""
    command = [sys.executable, "-m", "training.runtimes", "--data", str(photos),
               "--model-dir", str(home / "build" / "model"),
               "--cache-dir", str(home / "cache")]  # fmt: skip
    subprocess.run(command, check=True, stdout=sys.stderr)


def _unpack(home: Path) -> None:
    """Our archive as `make package` builds it, extracted as SageMaker does."""
    shutil.rmtree(home / "ml", ignore_errors=True)
    package_model(ROOT, home / "build")
    with tarfile.open(home / "build" / MODEL_ARCHIVE) as archive:
        archive.extractall(home / "ml" / "model", filter="data")


def torchserve_store(material: Material) -> Path:
    """The folder of TorchServe's archive, made by its own tool for its image_classifier handler."""
    require(
        PEERS_PYTHON.exists(),
        "The peers are not installed: .venv-peers is missing. Run `make .venv-peers/peers`.",
    )
    store, pickled = material.home / "store", material.home / "resnet50.pth"
    if (store / "resnet50.mar").exists():
        return store
    store.mkdir(exist_ok=True)
    torch.save(load_file(material.weights), pickled)
    subprocess.run(
        [PEERS_PYTHON.with_name("torch-model-archiver"), "--model-name", "resnet50",
         "--version", "1.0", "--model-file", PEERS / "torchserve_model.py",
         "--serialized-file", pickled, "--handler", "image_classifier",
         "--export-path", store],
        check=True, capture_output=True,
    )  # fmt: skip
    return store
