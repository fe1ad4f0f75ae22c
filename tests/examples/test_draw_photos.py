"""The drawn folder that demos train on."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "examples" / "draw_photos.py"


def draw(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--out", str(out), "--per-class", "8", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.jpg"))
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "photos"
    assert draw(folder).returncode == 0
    return folder


def test_the_same_arguments_draw_the_same_bytes_and_another_seed_others(
    drawn: Path, tmp_path: Path
) -> None:
    draw(tmp_path / "again")
    draw(tmp_path / "other", "--seed", "8")

    again, other = contents(tmp_path / "again"), contents(tmp_path / "other")
    assert again == contents(drawn)
    assert again.keys() == other.keys()
    assert not set(again.values()) & set(other.values())


def test_photos_are_photo_sized_and_some_are_odd(drawn: Path) -> None:
    broken = drawn / "train/001.Dalmatian/Dalmatian_broken.jpg"
    modes, turned, sizes = set(), 0, set()
    for path in sorted(drawn.rglob("*.jpg")):
        with Image.open(path) as image:
            modes.add(image.mode)
            sizes.add(image.size)
            turned += image.getexif().get(0x0112, 1) != 1

    assert modes == {"RGB", "L", "CMYK"}
    assert turned >= 6
    assert all(min(size) >= 280 and 420 <= max(size) <= 560 for size in sizes)
    assert len(sizes) > 50
    with Image.open(broken) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def test_one_picture_is_in_two_splits(drawn: Path) -> None:
    digests = list(contents(drawn).values())

    assert len(digests) - len(set(digests)) == 1


def test_an_existing_folder_is_left_alone(drawn: Path) -> None:
    before = contents(drawn)

    result = draw(drawn, "--seed", "9")

    assert result.returncode == 2
    assert "remove it or choose another folder" in result.stderr
    assert contents(drawn) == before
