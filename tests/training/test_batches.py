"""Views of pictures, in batches."""

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract.model_card import InputSpec
from contract.network import torchvision
from contract.preprocessing import Pixels, eval_view
from contract.strict import ContractError
from training.batches import Views, train_batches
from training.chance import chance, shuffled
from training.data import Picture, read_data
from training.data.augment import CHANGES, MAGNITUDES, changed, random_square, trivial
from training.data.store import Store

Folder = Callable[..., Path]
SPEC = InputSpec(resize_px=36, size_px=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def views(root: Path, augmentation: str = "crop", kept: Path | None = None) -> Views:
    pictures: list[Picture] = read_data(root).split("train")
    store = Store(SPEC, kept, print)
    return Views(pictures=pictures, store=store, augmentation=augmentation, seed=7)


def epoch(made: Views, number: int = 1, **how: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    labels = list(range(len(made.pictures)))
    return list(train_batches(made, labels, **{"batch_size": 5, **how}, epoch=number))


@pytest.mark.parametrize("augmentation", ["none", "crop", "trivial"])
def test_views_have_the_same_bits_with_any_number_of_workers_and_batches(
    augmentation: str, folder: Folder, tmp_path: Path
) -> None:
    root = folder(train=4, valid=1)
    one = epoch(views(root, augmentation), threads=1)
    four = epoch(views(root, augmentation, tmp_path / "kept"), threads=4)
    whole = epoch(views(root, augmentation, tmp_path / "kept"), threads=3, batch_size=12)

    assert [len(labels) for _, labels in one] == [5, 5, 2]
    for (a, a_labels), (b, b_labels) in zip(one, four, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a_labels, b_labels)
    assert torch.equal(torch.cat([images for images, _ in one]), whole[0][0])
    assert whole[0][1].tolist() == shuffled(12, 7, 1)


def test_an_epoch_can_begin_at_any_batch(folder: Folder) -> None:
    made = views(folder(train=4, valid=1))

    whole, rest = epoch(made), epoch(made, first=2)

    assert len(rest) == 1
    assert torch.equal(rest[0][0], whole[2][0])


def test_each_epoch_shows_other_views_in_another_order(folder: Folder) -> None:
    made = views(folder(train=4, valid=1))
    first, second = epoch(made, 1, batch_size=12)[0], epoch(made, 2, batch_size=12)[0]

    assert first[1].tolist() != second[1].tolist()
    sorted_views = [images[labels.argsort()] for images, labels in (first, second)]
    assert all(not torch.equal(a, b) for a, b in zip(*sorted_views, strict=True))


def test_without_augmentation_the_network_sees_what_serving_shows(folder: Folder) -> None:
    made = views(folder(train=2, valid=1), "none")
    images, labels = epoch(made, batch_size=6)[0]

    assert images.is_contiguous(memory_format=torch.channels_last)
    for image, index in zip(images, labels.tolist(), strict=True):
        data = made.pictures[index].path.read_bytes()
        assert torch.equal(image, torch.from_numpy(eval_view(data, SPEC)))


def test_workers_are_at_most_about_a_batch_ahead(folder: Folder) -> None:
    made = views(folder(train=40, valid=1))
    seen: list[int] = []

    class Counting(Store):
        def roomy(self, picture: Picture) -> Pixels:
            seen.append(1)
            return super().roomy(picture)

    counted = Views(
        pictures=made.pictures, store=Counting(SPEC, None, print), augmentation="crop", seed=7
    )
    batches = train_batches(counted, range(120), batch_size=8, epoch=1, threads=2)
    next(batches)
    del batches

    assert 8 <= len(seen) <= 24


def test_a_picture_that_cannot_be_read_any_more_ends_the_epoch_by_its_name(folder: Folder) -> None:
    made = views(folder(train=4, valid=1))
    made.pictures[3].path.unlink()

    with pytest.raises(ContractError, match=str(made.pictures[3].path)):
        epoch(made, threads=4)


def test_every_size_and_shape_of_picture_gives_a_square() -> None:
    for index, (height, width) in enumerate([(1, 1), (1, 300), (300, 1), (7, 3), (40, 31)]):
        pixels = np.full((height, width, 3), 99, np.uint8)

        square = random_square(pixels, 32, chance(7, 1, index))

        assert square.shape == (32, 32, 3)
        assert (square == 99).all()


def test_squares_lie_everywhere_and_are_mirrored_half_of_the_time() -> None:
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[..., 0] = np.arange(96)
    pixels[..., 1] = np.arange(64)[:, None]
    made = [random_square(pixels, 16, chance(7, 1, index)).astype(int) for index in range(400)]
    mirrored = [square[0, 0, 0] > square[0, -1, 0] for square in made]
    lefts = [min(square[0, 0, 0], square[0, -1, 0]) for square in made]
    sides = [square[-1, 0, 1] - square[0, 0, 1] for square in made]

    assert 0.4 < np.mean(mirrored) < 0.6
    assert min(lefts) <= 2
    assert max(lefts) >= 50
    assert min(sides) <= 34
    assert max(sides) >= 56


def test_trivial_augment_makes_what_torchvisions_makes(folder: Folder) -> None:
    path = views(folder(train=1, valid=1)).pictures[0].path
    image = Image.open(path).convert("RGB").resize((24, 24))
    pixels = np.asarray(image)
    ours = {
        changed(pixels, kind, step, negative=negative).tobytes(): kind
        for kind, step, negative in itertools.product(CHANGES, range(MAGNITUDES), (False, True))
    }
    theirs = importlib.import_module(f"{torchvision.__name__}.transforms.v2").TrivialAugmentWide()
    torch.manual_seed(3)

    found = {ours.get(np.asarray(theirs(image)).tobytes()) for _ in range(200)}

    assert None not in found
    assert len(found) >= len(CHANGES) - 1  # contrast and brightness at no strength are identity


def test_trivial_augment_draws_every_change_and_depends_on_its_generator_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    made = [trivial(pixels, chance(7, 1, index)).tobytes() for index in range(150)]

    assert made == [trivial(pixels, chance(7, 1, index)).tobytes() for index in range(150)]
    assert len(set(made)) > 100
