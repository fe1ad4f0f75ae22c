"""From a folder of labelled pictures to three disjoint splits, with a report of what was odd."""

import hashlib
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from contract.messages import RequestError
from contract.preprocessing import decode
from contract.strict import ContractError, require

SPLITS = ("train", "valid", "test")
ALIASES = {"val": "valid", "validation": "valid"}
HELD_OUT_SHARE = 0.1
EXIF_ORIENTATION = 0x0112
LAYOUT = (
    "a folder with train/, valid/ and test/ that hold <label>/ folders, or plain <label>/ folders"
)
NUMBERED = re.compile(r"\d+[._-]\s*(?=.*[^\W\d])(.+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One picture that is used."""

    path: Path
    split: str
    label: str
    sha256: str
    """Of the file's content."""
    kind: str
    """Pillow's mode, as `L`, `RGB` or `CMYK`, and `rotated` where EXIF says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """One file that is not used."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """What a model is trained and judged on."""

    root: Path
    classes: tuple[str, ...]
    """Sorted; a class's place is its output's number."""
    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...]

    def split(self, name: str) -> list[Picture]:
        """The pictures of one split."""
        return [picture for picture in self.pictures if picture.split == name]

    def numbers(self, pictures: Iterable[Picture]) -> list[int]:
        """Each picture's class number."""
        number = {label: index for index, label in enumerate(self.classes)}
        return [number[picture.label] for picture in pictures]

    @property
    def sha256(self) -> str:
        """Of every picture's split, label and content, wherever the files lie."""
        lines = sorted(f"{p.split}\t{p.label}\t{p.sha256}\n" for p in self.pictures)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_data(root: Path) -> Data:
    """Find, check and split the pictures.

    Raises:
        ContractError: the folder is missing, empty, or cannot train a classifier.
    """
    require(
        root.is_dir(),
        f"{root} is not a folder; `make data` draws an example, DATA=folder names yours: {LAYOUT}.",
    )
    splits = {ALIASES.get(f.name, f.name): f for f in _folders(root)}
    if "train" in splits:
        homes = {name: splits[name] for name in SPLITS if name in splits}
    else:
        homes = {"": root}
    files = [
        (split, label.name, path)
        for split, home in homes.items()
        for label in _folders(home)
        for path in _files(label)
    ]
    require(bool(files), f"{root} holds no labelled pictures; name {LAYOUT}.")
    labels = clean_labels({label for _, label, _ in files})
    with ThreadPoolExecutor() as pool:
        looks = list(pool.map(_look, [path for _, _, path in files]))
    pictures, left_out = [], []
    for (split, label, path), (sha256, kind, fault) in zip(files, looks, strict=True):
        if fault:
            left_out.append(LeftOut(path=path, reason=f"unreadable: {fault}"))
            continue
        found = Picture(path=path, split=split, label=labels[label], sha256=sha256, kind=kind)
        pictures.append(found)
    pictures, copies = drop_copies(pictures, root)
    if "train" not in splits:
        pictures = split_by_content(pictures)
    classes = tuple(sorted(set(labels.values())))
    require(
        len(classes) >= 2,
        f"{root} holds one label only, {classes[0]!r}; a classifier needs at least two folders.",
    )
    _require_every_label(pictures, classes, root)
    return Data(root=root, classes=classes, pictures=tuple(pictures), left_out=(*left_out, *copies))


def clean_labels(names: set[str]) -> dict[str, str]:
    """Folder names to labels: `001.Affenpinscher` is Affenpinscher where every folder has a number.

    Raises:
        ContractError: two folders would get the same label.
    """
    matches = {name: NUMBERED.fullmatch(name) for name in names}
    bare = {name: match.group(1) if match else name for name, match in matches.items()}
    for label, count in Counter(bare.values()).items():
        same = sorted(name for name in names if bare[name] == label)
        require(
            count == 1,
            f"the folders {' and '.join(same)} both mean {label!r}; rename or merge them.",
        )
    return bare if all(matches.values()) else {name: name for name in names}


def drop_copies(pictures: Sequence[Picture], root: Path) -> tuple[list[Picture], list[LeftOut]]:
    """Use each content once: test wins over valid, valid over train, so that nothing leaks."""
    used: dict[str, Picture] = {}
    copies = []
    order = {"test": 0, "valid": 1, "train": 2}
    for picture in sorted(pictures, key=lambda p: (order.get(p.split, 0), p.path)):
        first = used.setdefault(picture.sha256, picture)
        if first is not picture:
            kind = "same label" if first.label == picture.label else f"but labelled {first.label!r}"
            reason = f"same content as {first.path.relative_to(root)}, {kind}"
            copies.append(LeftOut(path=picture.path, reason=reason))
    return [p for p in pictures if used[p.sha256] is p], copies


def split_by_content(pictures: Sequence[Picture]) -> list[Picture]:
    """Assign 80/10/10 in each label by the order of content hashes: no names, no chance.

    Raises:
        ContractError: a label has too few pictures to be in every split.
    """
    assigned = []
    for label in sorted({picture.label for picture in pictures}):
        ranked = sorted((p for p in pictures if p.label == label), key=lambda p: p.sha256)
        require(
            len(ranked) >= 3,
            f"label {label!r} has {len(ranked)} different readable pictures; add some until it "
            "has at least 3, one for each split.",
        )
        held_out = max(1, round(HELD_OUT_SHARE * len(ranked)))
        for rank, p in enumerate(ranked):
            split = "test" if rank < held_out else "valid" if rank < 2 * held_out else "train"
            assigned.append(replace(p, split=split))
    return assigned


def _folders(folder: Path) -> list[Path]:
    return [
        f for f in sorted(folder.iterdir()) if f.is_dir() and not f.name.startswith((".", "__"))
    ]


def _files(label: Path) -> list[Path]:
    return [
        path
        for path in sorted(label.rglob("*"))
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(label).parts)
    ]


def _look(path: Path) -> tuple[str, str, str]:
    """Content hash, kind and, if it cannot be read, why."""
    try:
        data = path.read_bytes()
        decode(data, 1)
    except (RequestError, OSError) as error:
        return "", "", str(error)
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
        kind = image.mode
        with suppress(Exception):  # a damaged EXIF block turns nothing, as in serving
            kind += " rotated" if image.getexif().get(EXIF_ORIENTATION, 1) != 1 else ""
    return hashlib.sha256(data).hexdigest(), kind, ""


def _require_every_label(pictures: Sequence[Picture], classes: Sequence[str], root: Path) -> None:
    have = {(p.split, p.label) for p in pictures}
    present = {split for split, _ in have}
    for split in ("train", "valid", *(["test"] if "test" in present else [])):
        lacking = [label for label in classes if (split, label) not in have]
        if lacking:
            shown = ", ".join(lacking[:5]) + (" ..." if len(lacking) > 5 else "")
            raise ContractError(
                f"{root}: {split} has no usable picture of {shown}; add some, or remove the label "
                "from every split."
            )
