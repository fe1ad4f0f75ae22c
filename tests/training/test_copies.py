"""The same photo in two splits, or under two labels, is found whatever was done to it."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from training.data import look, read_data
from training.data.look import Looks
from training.data_report import data_report

Run = Callable[..., dict[str, Any]]
LABELS = ("cat", "dog")


def photo(seed: int) -> Image.Image:
    """Soft shapes with fine texture, as in photos: 160 x 120."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((120, 160, 3))
    for cells in (3, 6, 12, 24, 60):
        noise = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        grown = Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)
        pixels += (np.asarray(grown) - 127.5) / cells**0.5
    return Image.fromarray(np.clip(pixels + 127.5, 0, 255).astype(np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Different photos in every split: 40 of each label."""
    seed = 0
    for split, count in (("train", 24), ("valid", 8), ("test", 8)):
        for label in LABELS:
            for index in range(count):
                seed += 1
                path = tmp_path / "photos" / split / label / f"{index}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                photo(seed).save(path, quality=90)
    return tmp_path / "photos"


def cropped(image: Image.Image) -> Image.Image:
    return image.crop((6, 2, 156, 114))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "encoded again": lambda image: image,
    "half as large": lambda image: image.resize((80, 60), Image.Resampling.LANCZOS),
    "twice as large": lambda image: image.resize((320, 240), Image.Resampling.BICUBIC),
    "mirrored": ImageOps.mirror,
    "cropped": cropped,
    "cropped and mirrored": lambda image: ImageOps.mirror(cropped(image)),
    "grey": lambda image: image.convert("L"),
    "brighter": lambda image: image.point(lambda value: min(255, value + 20)),
}


def test_different_photos_are_all_used(root: Path) -> None:
    report = data_report(read_data(root))

    assert report["left_out"] == []
    assert report["doubtful_labels"] == []
    assert report["pictures"] == {"train": 48, "valid": 16, "test": 16}


def test_a_test_photo_is_found_in_training_whatever_was_done_to_it(root: Path) -> None:
    for index, (name, change) in enumerate(CHANGES.items()):
        copy = change(Image.open(root / f"test/cat/{index}.jpg"))
        copy.save(root / f"train/cat/{name}.jpg", quality=70)
    (root / "train/cat/same bytes.jpg").write_bytes((root / "test/cat/0.jpg").read_bytes())

    report = data_report(read_data(root))

    found = {left["file"]: left["other"]["file"] for left in report["left_out"]}
    wanted = {f"train/cat/{name}.jpg": f"test/cat/{i}.jpg" for i, name in enumerate(CHANGES)}
    assert found == {**wanted, "train/cat/same bytes.jpg": "test/cat/0.jpg"}
    assert report["leaks"] == report["left_out"]
    assert {left["why"] for left in report["leaks"]} == {"near copy", "same content"}
    reasons = {left["file"]: left["reason"] for left in report["leaks"]}
    assert reasons["train/cat/mirrored.jpg"].startswith("looks the same (")
    assert reasons["train/cat/mirrored.jpg"].endswith("as test/cat/3.jpg, same label")


def test_of_a_photo_in_three_splits_the_test_one_is_used(root: Path) -> None:
    original = Image.open(root / "test/dog/0.jpg")
    original.save(root / "valid/dog/copy.jpg", quality=60)
    original.save(root / "train/dog/copy.png")

    left_out = data_report(read_data(root))["left_out"]

    assert [(left["file"], left["other"]["file"]) for left in left_out] == [
        ("train/dog/copy.png", "test/dog/0.jpg"), ("valid/dog/copy.jpg", "test/dog/0.jpg")
    ]  # fmt: skip


def test_near_copies_within_a_split_are_used_and_doubted_under_two_labels(root: Path) -> None:
    Image.open(root / "train/cat/0.jpg").save(root / "train/cat/again.jpg", quality=60)
    Image.open(root / "train/cat/1.jpg").save(root / "train/dog/wrong.jpg", quality=60)
    shutil.copy(root / "train/cat/2.jpg", root / "train/dog/worse.jpg")

    report = data_report(read_data(root))

    assert [left["file"] for left in report["left_out"]] == ["train/dog/worse.jpg"]
    assert report["leaks"] == []
    pairs = [(d["why"], *(file["file"] for file in d["files"])) for d in report["doubtful_labels"]]
    assert pairs == [
        ("same content", "train/cat/2.jpg", "train/dog/worse.jpg"),
        ("near copy", "train/cat/1.jpg", "train/dog/wrong.jpg"),
    ]


def test_flat_and_tiny_pictures_are_not_taken_for_copies(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        for number, label in enumerate(LABELS):
            home = tmp_path / split / label
            home.mkdir(parents=True)
            for index in range(6):
                Image.new("RGB", (90, 90), tuple(rng.integers(0, 256, 3).tolist())).save(
                    home / f"flat{index}.png"
                )
                digit = np.zeros((8, 8), np.uint8)  # a stroke of varied strength, as in digits
                digit[1:7, 3 + number : 5 + number] = rng.integers(120, 256, (6, 2))
                Image.fromarray(digit).save(home / f"digit{index}.png")

    assert data_report(read_data(tmp_path))["left_out"] == []


def test_a_label_that_lost_its_last_picture_says_where_it_went(root: Path) -> None:
    shutil.rmtree(root / "valid/dog")
    (root / "valid/dog").mkdir()
    shutil.copy(root / "test/dog/0.jpg", root / "valid/dog/only.jpg")

    with pytest.raises(ValueError, match=r"only\.jpg was left out: same content as test/dog/0"):
        read_data(root)


def test_a_run_tells_what_it_left_out_and_doubts(root: Path, run: Run) -> None:
    Image.open(root / "test/cat/0.jpg").save(root / "train/dog/copy.jpg", quality=60)
    (root / "train/dog/broken.jpg").write_bytes((root / "test/cat/0.jpg").read_bytes()[:900])
    for index in range(1, 24):
        (root / f"train/dog/{index}.jpg").unlink()
    shutil.copy(root / "train/cat/0.jpg", root / "train/cat/again.jpg")

    result = run(root, "--epochs=1")

    told = {event["event"]: event for event in result["events"]}
    assert told["data"]["left_out_why"] == {"unreadable": 1, "same content": 1, "near copy": 1}
    assert (told["data"]["leaks"], told["data"]["doubtful_labels"]) == (1, 1)
    assert told["data"]["imbalance"] == 24
    report = json.loads((result["output"] / "data_report.json").read_text())
    assert report["extremes"] == {"largest": "cat", "smallest": "dog"}
    warnings = [e["message"] for e in result["events"] if e["event"] == "warning"]
    assert any("test/cat/0.jpg and train/dog/copy.jpg show the same" in w for w in warnings)


def test_what_was_seen_of_a_content_is_remembered(root: Path, tmp_path: Path) -> None:
    cold = read_data(root, tmp_path / "cache")
    db = sqlite3.connect(tmp_path / "cache/looks.sqlite")
    with db:
        db.execute("UPDATE looks SET kind = 'remembered'")
    db.close()

    warm = read_data(root, tmp_path / "cache")

    assert {picture.kind for picture in warm.pictures} == {"remembered"}
    assert warm.sha256 == cold.sha256


def test_another_decoder_looks_for_itself(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = read_data(root, tmp_path / "cache")
    with sqlite3.connect(tmp_path / "cache/looks.sqlite") as db:
        db.execute("UPDATE looks SET kind = 'remembered'")
    db.close()
    monkeypatch.setattr("PIL.__version__", "99.0")

    assert read_data(root, tmp_path / "cache") == cold


@pytest.mark.parametrize("damage", ["cut", "other", "folder"])
def test_a_damaged_memory_costs_time_only(damage: str, root: Path, tmp_path: Path) -> None:
    cold = read_data(root, tmp_path / "cache")
    file = tmp_path / "cache/looks.sqlite"
    data = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes(data[:5000] if damage == "cut" else b"not a database at all" * 99)

    assert read_data(root, tmp_path / "cache") == cold


def test_two_readers_at_once_agree(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "looks.sqlite"
    first, second = Looks(file), Looks(file)
    paths = sorted(root.rglob("*.jpg"))[:6]

    seen = [(first.of(path), second.of(path)) for path in paths[:3]]
    first.close()
    seen += [(second.of(path), look.look_at(path.read_bytes(), "", path)) for path in paths[3:]]
    second.close()

    assert all((a.tiny, a.kind) == (b.tiny, b.kind) for a, b in seen)
