"""From a folder of labelled pictures to three disjoint splits, with a report of what was odd."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from contract.strict import ContractError, require
from training.data.copies import drop_copies, drop_near_copies
from training.data.look import Look, Looks
from training.data.pictures import SPLITS, Data, LeftOut, Picture
from training.data.workers import cores, side_by_side

ALIASES = {"val": "valid", "validation": "valid"}
HELD_OUT_SHARE = 0.1
LAYOUT = (
    "a folder with train/, valid/ and test/ that hold <label>/ folders, or plain <label>/ folders"
)
NUMBERED = re.compile(r"\d+[._-]\s*(?=.*[^\W\d])(.+)")


def read_data(root: Path, cache_dir: Path | None = None) -> Data:
    """Find, check and split the pictures.

    Args:
        root: the folder.
        cache_dir: keeps what was seen of each content, so that another run only hashes it.

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
    looks = _looks([path for _, _, path in files], cache_dir)
    tiny = {look.sha256: look.tiny for look in looks}
    pictures: list[Picture] = []
    left_out: list[LeftOut] = []
    for (split, label, path), look in zip(files, looks, strict=True):
        if look.fault:
            left_out.append(_unreadable(path, split, labels[label], look))
        else:
            pictures.append(_picture(path, split, labels[label], look))
    pictures, copies, doubts = drop_copies(pictures, root)
    if "train" not in splits:
        pictures = split_by_content(pictures)
    classes = tuple(sorted(set(labels.values())))
    require(
        len(classes) >= 2,
        f"{root} holds one label only, {classes[0]!r}; a classifier needs at least two folders.",
    )
    pictures, near_copies, more_doubts = drop_near_copies(pictures, tiny, root)
    left_out += [*copies, *near_copies]
    _require_every_label(pictures, classes, left_out, root)
    return Data(
        root=root,
        classes=classes,
        pictures=tuple(pictures),
        left_out=tuple(left_out),
        doubts=(*doubts, *more_doubts),
    )


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


def _looks(paths: Sequence[Path], cache_dir: Path | None) -> list[Look]:
    looks = Looks(None if cache_dir is None else cache_dir / "looks.sqlite")
    try:
        return list(side_by_side(looks.of, paths, cores()))
    finally:
        looks.close()


def _unreadable(path: Path, split: str, label: str, look: Look) -> LeftOut:
    return LeftOut(
        path=path, split=split, label=label, why="unreadable", reason=f"unreadable: {look.fault}"
    )


def _picture(path: Path, split: str, label: str, look: Look) -> Picture:
    return Picture(
        path=path,
        split=split,
        label=label,
        sha256=look.sha256,
        kind=look.kind,
        width_px=look.width_px,
        height_px=look.height_px,
    )


def _require_every_label(
    pictures: Sequence[Picture], classes: Sequence[str], left_out: Sequence[LeftOut], root: Path
) -> None:
    have = {(p.split, p.label) for p in pictures}
    present = {split for split, _ in have}
    for split in ("train", "valid", *(["test"] if "test" in present else [])):
        lacking = [label for label in classes if (split, label) not in have]
        if lacking:
            shown = ", ".join(lacking[:5]) + (" ..." if len(lacking) > 5 else "")
            lost = [one for one in left_out if (one.split, one.label) == (split, lacking[0])]
            left = [f" {one.path.relative_to(root)} was left out: {one.reason}." for one in lost]
            raise ContractError(
                f"{root}: {split} has no usable picture of {shown}; add some, or remove the label "
                f"from every split.{''.join(left[:1])}"
            )
