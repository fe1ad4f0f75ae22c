"""Finding, checking and splitting pictures."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from contract.strict import ContractError
from training.data import clean_labels, read_data
from training.data_report import data_report

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]


def reasons(root: Path) -> dict[str, str]:
    return {left["file"]: left["reason"] for left in data_report(read_data(root))["left_out"]}


def test_numeric_prefixes_are_taken_off_labels(folder: Folder) -> None:
    assert read_data(folder(train=2, valid=1)).classes == ("moss", "rust", "sky")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ({"001.Cat", "002.Dog"}, {"Cat", "Dog"}),
        ({"1_red-fox", "02-wolf"}, {"red-fox", "wolf"}),
        ({"0", "1", "2"}, {"0", "1", "2"}),
        ({"3.5", "4.5"}, {"3.5", "4.5"}),
        ({"2-door", "sedan"}, {"2-door", "sedan"}),
        ({"001.Köter", "002.犬"}, {"Köter", "犬"}),
    ],
)
def test_only_what_numbers_every_label_is_taken_off(names: set[str], labels: set[str]) -> None:
    assert set(clean_labels(names).values()) == labels


def test_two_folders_that_mean_one_label_are_refused() -> None:
    with pytest.raises(ContractError, match=r"001\.Cat and 002\.Cat both mean 'Cat'"):
        clean_labels({"001.Cat", "002.Cat", "003.Dog"})


def test_a_training_picture_that_is_also_a_test_picture_is_left_out_by_name(folder: Folder) -> None:
    root = folder(train=3, valid=2, test=2)
    shutil.copy(root / "test/001.rust/0.jpg", root / "train/001.rust/copy.jpg")
    shutil.copy(root / "train/001.rust/1.jpg", root / "train/001.rust/twin.jpg")
    shutil.copy(root / "valid/002.sky/1.jpg", root / "train/001.rust/wrong.jpg")

    found = reasons(root)

    assert found == {
        "train/001.rust/copy.jpg": "same content as test/001.rust/0.jpg, same label",
        "train/001.rust/twin.jpg": "same content as train/001.rust/1.jpg, same label",
        "train/001.rust/wrong.jpg": "same content as valid/002.sky/1.jpg, but labelled 'sky'",
    }


def test_an_unreadable_file_is_left_out_by_name(folder: Folder) -> None:
    root = folder(train=3, valid=2)
    whole = (root / "train/001.rust/0.jpg").read_bytes()
    (root / "train/001.rust/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "train/002.sky/notes.txt").write_text("not a picture")
    (root / "train/003.moss/empty.png").write_bytes(b"")

    found = reasons(root)

    assert set(found) == {
        "train/001.rust/cut.jpg", "train/002.sky/notes.txt", "train/003.moss/empty.png"
    }  # fmt: skip
    assert all(reason.startswith("unreadable: ") for reason in found.values())


def test_odd_kinds_are_used_and_counted(folder: Folder, run: Run) -> None:
    root = folder(train=4, valid=2)
    home = root / "train/001.rust"
    picture = Image.open(home / "0.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.convert("L").save(home / "grey.jpg")
    picture.convert("CMYK").save(home / "cmyk.jpg")
    picture.convert("RGBA").save(home / "alpha.png")
    picture.convert("I;16").save(home / "deep.png")
    picture.rotate(90).save(home / "turned.jpg", exif=exif)

    result = run(root, "--epochs=1")

    report = json.loads((result["output"] / "data_report.json").read_text())
    assert report["left_out"] == []
    assert report["kinds"] == {
        "CMYK": 1, "I;16": 1, "L": 1, "RGB": 18, "RGB rotated": 1, "RGBA": 1
    }  # fmt: skip


def test_plain_labels_are_split_by_content_whatever_the_names(folder: Folder) -> None:
    root = folder("plain", plain=20)
    before = read_data(root)
    for path in sorted(root.rglob("*.jpg")):
        path.rename(path.with_name(f"renamed_{29 - int(path.stem)}.jpg"))

    after = read_data(root)

    assert before.sha256 == after.sha256
    counts = data_report(after)["pictures_by_label"]
    assert counts["train"] == {"moss": 16, "rust": 16, "sky": 16}
    assert counts["valid"] == counts["test"] == {"moss": 2, "rust": 2, "sky": 2}


def test_another_label_or_split_is_other_data(folder: Folder) -> None:
    root = folder(train=3, valid=2)
    before = read_data(root).sha256

    (root / "train/001.rust/2.jpg").rename(root / "valid/001.rust/2.jpg")

    assert read_data(root).sha256 != before


def test_hidden_files_are_not_looked_at(folder: Folder) -> None:
    root = folder(train=3, valid=2)
    before = read_data(root)
    (root / "train/001.rust/.DS_Store").write_bytes(b"\0")
    (root / ".cache").mkdir()
    (root / "train/.thumbnails").mkdir()
    (root / "train/.thumbnails/0.jpg").write_bytes(b"\0")

    assert read_data(root) == before


def test_a_label_that_a_split_lacks_is_an_error_with_a_remedy(folder: Folder) -> None:
    root = folder(train=3, valid=2)
    shutil.rmtree(root / "valid/002.sky")

    with pytest.raises(ContractError, match=r"valid has no usable picture of sky; add some"):
        read_data(root)


def test_imbalance_is_said(folder: Folder, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(train=8, valid=2)
    for index in range(1, 8):
        (root / f"train/001.rust/{index}.jpg").unlink()

    run(root, "--epochs=1")

    assert "8.0 times" in capsys.readouterr().err
