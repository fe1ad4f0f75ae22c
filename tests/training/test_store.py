"""Pictures in the form that views are cut from, kept or not."""

import io
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from contract.model_card import InputSpec
from contract.preprocessing import decode, eval_pixels, eval_view, normalise
from contract.strict import ContractError
from training.chance import chance
from training.data import Picture, read_data
from training.data.store import Store, open_store
from training.runlog import RunLog

Folder = Callable[..., Path]
SPEC = InputSpec(resize_px=28, size_px=24, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.fixture
def pictures(folder: Folder) -> list[Picture]:
    return list(read_data(folder(train=3, valid=1)).pictures)


def quiet(text: str) -> None:
    raise AssertionError(text)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.pixels"))


def views(store: Store, pictures: list[Picture]) -> list[bytes]:
    return [
        store.random(picture, augmentation, chance(7, 1, index)).tobytes()
        for index, picture in enumerate(pictures)
        for augmentation in ("none", "crop", "trivial")
    ]


def test_keeping_pictures_changes_no_bit_of_any_view(
    pictures: list[Picture], tmp_path: Path
) -> None:
    anew = views(Store(SPEC, None, quiet), pictures)
    kept = Store(SPEC, tmp_path / "kept", quiet)

    assert views(kept, pictures) == anew
    assert len(entries(tmp_path / "kept")) == 2 * len(pictures)
    assert views(kept, pictures) == anew
    assert views(Store(SPEC, tmp_path / "kept", quiet), pictures) == anew


def test_a_plain_view_has_the_bits_of_serving(pictures: list[Picture], tmp_path: Path) -> None:
    store = Store(SPEC, tmp_path / "kept", quiet)

    for picture in pictures * 2:
        data = picture.path.read_bytes()
        assert np.array_equal(store.plain(picture), eval_pixels(decode(data, 28), SPEC))
        assert np.array_equal(normalise(store.plain(picture), SPEC), eval_view(data, SPEC))


def test_kept_pictures_are_not_decoded_again(pictures: list[Picture], tmp_path: Path) -> None:
    store = Store(SPEC, tmp_path / "kept", quiet)
    first = views(store, pictures)
    for picture in pictures:
        picture.path.unlink()

    assert views(Store(SPEC, tmp_path / "kept", quiet), pictures) == first


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "longer", "no header"])
def test_a_torn_entry_is_made_again(damage: str, pictures: list[Picture], tmp_path: Path) -> None:
    first = views(Store(SPEC, tmp_path / "kept", quiet), pictures)
    whole = {file: file.read_bytes() for file in entries(tmp_path / "kept")}
    for file, data in whole.items():
        flipped = bytes([*data[:-1], data[-1] ^ 1])
        file.write_bytes(
            {"cut": data[:-7], "empty": b"", "flipped": flipped, "longer": data + b"x",
             "no header": data[16:]}[damage]
        )  # fmt: skip

    assert views(Store(SPEC, tmp_path / "kept", quiet), pictures) == first
    assert {file: file.read_bytes() for file in entries(tmp_path / "kept")} == whole


def test_several_writers_at_once_leave_whole_entries_and_nothing_else(
    pictures: list[Picture], tmp_path: Path
) -> None:
    stores = [Store(SPEC, tmp_path / "kept", quiet) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda store: views(store, pictures), stores))

    assert all(one == seen[0] for one in seen)
    files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
    assert files
    assert all(file.suffix == ".pixels" for file in files)


def test_a_full_or_closed_disk_is_said_once_and_changes_nothing(
    pictures: list[Picture], tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("a file where a folder is wanted")
    said: list[str] = []

    found = views(Store(SPEC, tmp_path / "kept", said.append), pictures)

    assert found == views(Store(SPEC, None, quiet), pictures)
    assert len(said) == 1
    assert "slower, with the same result" in said[0]


def test_the_same_content_elsewhere_is_the_same_entry(
    pictures: list[Picture], tmp_path: Path
) -> None:
    views(Store(SPEC, tmp_path / "kept", quiet), pictures)
    before = entries(tmp_path / "kept")
    root = pictures[0].path.parents[2]
    shutil.move(root, tmp_path / "moved")

    views(Store(SPEC, tmp_path / "kept", quiet), list(read_data(tmp_path / "moved").pictures))

    assert entries(tmp_path / "kept") == before


def test_a_picture_that_changes_during_a_run_is_named(
    pictures: list[Picture], tmp_path: Path
) -> None:
    changed, gone = pictures[0], pictures[1]
    changed.path.write_bytes(pictures[2].path.read_bytes())
    gone.path.unlink()
    store = Store(SPEC, tmp_path / "kept", quiet)

    with pytest.raises(ContractError, match=rf"{changed.path.name} has changed since the run"):
        store.plain(changed)
    with pytest.raises(ContractError, match=rf"{gone.path.name} could be read when the run began"):
        store.roomy(gone)
    assert entries(tmp_path / "kept") == []


def test_whether_pictures_are_kept_depends_on_counts_alone_and_is_said(
    pictures: list[Picture], tmp_path: Path
) -> None:
    log = RunLog(tmp_path, io.StringIO())
    enough = 2 * len(pictures)

    once, twice, often = (
        open_store(pictures, passes, SPEC, tmp_path / "cache", log, kept_from=enough)
        for passes in (1, 2, 3)
    )

    assert (once.folder, twice.folder) == (None, None)
    assert often.folder is not None
    views(often, pictures)
    again = open_store(pictures, 2, SPEC, tmp_path / "cache", log, kept_from=enough)
    assert again.folder is None
    told = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [event["kept"] for event in told] == [False, True, False]
    assert all("readings" in event["why"] for event in told)


def test_a_disk_without_room_is_left_alone_and_said(
    pictures: list[Picture], tmp_path: Path
) -> None:
    log = RunLog(tmp_path, io.StringIO())

    store = open_store(pictures, 9, SPEC, tmp_path / "cache", log, kept_from=1, spare_bytes=1 << 60)

    assert store.folder is None
    assert "are needed" in json.loads(log.path.read_text())["why"]
    assert views(store, pictures) == views(Store(SPEC, tmp_path / "kept", quiet), pictures)
