"""Row (c): pictures a second into training's input, without a network."""

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from benchmarks.training.rows import Outcome, Row, Setup, Side
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from contract.hyperparameters import Hyperparameters
from contract.network import torchvision
from training.batches import Views, train_batches
from training.data import read_data
from training.data.store import Store
from training.run import input_spec
from training.weights import pixel_statistics

WIDTHS = (500, 750, 1000, 1300, 1600)
"""Longer sides of the pictures, in turn, as photos from the web have them."""


def photos(setup: Setup) -> Path:
    """The pictures of the setup at several sizes, made once."""
    home = setup.data.with_name(f"{setup.data.name}-widths")
    for number, path in enumerate(sorted(setup.data.rglob("*.jpg"))):
        target = home / path.relative_to(setup.data)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            image = Image.open(path)
            scale = WIDTHS[number % len(WIDTHS)] / max(image.size)
            size = round(image.width * scale), round(image.height * scale)
            image.resize(size, Image.Resampling.BICUBIC).save(target, quality=87)
    return home


def pace(batches: Iterator[tuple[Tensor, Tensor]]) -> Outcome:
    """Go through the batches."""
    clock, work = time.perf_counter(), time.process_time()
    count = sum(len(labels_B) for _, labels_B in batches)
    rate = count / (time.perf_counter() - clock)
    return Outcome(
        seconds=(time.process_time() - work) / count, facts={"pictures_per_second": rate}
    )


def reference(setup: Setup, *, plain: bool) -> Outcome:
    """ImageFolder and DataLoader with torchvision's transforms, in this process."""
    transforms, size = torchvision.transforms, setup.image_size_px
    shown = [transforms.Resize((size, size)), transforms.ToTensor()]
    changed = [
        transforms.RandomResizedCrop(size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(*pixel_statistics(setup.backbone)),
    ]
    steps = transforms.Compose(shown if plain else changed)
    pictures = torchvision.datasets.ImageFolder(photos(setup) / "train", steps)
    return pace(iter(DataLoader(pictures, setup.batch_size, shuffle=True)))


def ours(setup: Setup, *, kept: bool, augmentation: str = "crop") -> Outcome:
    """A second epoch: from the files, or from the pictures that the first one kept."""
    settings = Hyperparameters(backbone=setup.backbone, image_size_px=setup.image_size_px)
    data = read_data(photos(setup))
    store = Store(input_spec(settings), setup.scratch if kept else None, _no_room)
    train = data.split("train")
    views = Views(pictures=train, store=store, augmentation=augmentation, seed=setup.seed)
    numbers, threads = data.numbers(train), torch.get_num_threads()

    def epoch(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        how = {"batch_size": setup.batch_size, "threads": threads}
        return train_batches(views, numbers, epoch=number, **how)

    if kept:
        pace(epoch(1))
    return pace(epoch(2))


def _no_room(text: str) -> None:
    raise OSError(text)


ROW = Row(
    title="(c) Input of training, seconds per picture",
    note="Pictures of 500 to 1,600 pixels; no network. Seconds are those that the process was on "
    "a core, which a busy machine disturbs less; pictures a second are by the clock. torchvision's "
    "side is ImageFolder with RandomResizedCrop, RandomHorizontalFlip, ToTensor and Normalize "
    "behind a DataLoader in the same process; plain is Resize and ToTensor. Ours from the files "
    "decodes in each epoch; from kept pictures is an epoch after the first, which keeps them.",
    sides=(
        Side(name="torchvision's reference", measure=lambda s: reference(s, plain=False)),
        Side(name="plain ImageFolder", measure=lambda s: reference(s, plain=True)),
        Side(name="ours, from the files", measure=lambda s: ours(s, kept=False)),
        Side(name="ours, from kept pictures", measure=lambda s: ours(s, kept=True)),
        Side(
            name="ours, kept, TrivialAugment",
            measure=lambda s: ours(s, kept=True, augmentation="trivial"),
        ),
    ),
    against=("torchvision's reference", "plain ImageFolder"),
)
