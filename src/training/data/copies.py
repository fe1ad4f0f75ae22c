"""Each picture is used once: a test picture that was trained on proves nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.data.alike import alike
from training.data.look import TINY
from training.data.pictures import TRUST, Doubt, LeftOut, Picture, Why

Sorted = tuple[list[Picture], list[LeftOut], list[Doubt]]
"""What is used, what is not, and labels that contradict each other."""


def drop_copies(pictures: Sequence[Picture], root: Path) -> Sorted:
    """Use each content once: test wins over valid, valid over train, so that nothing leaks."""
    used: dict[str, Picture] = {}
    copies, doubts = [], []
    for picture in sorted(pictures, key=lambda p: (TRUST.get(p.split, 0), p.path)):
        first = used.setdefault(picture.sha256, picture)
        if first is not picture:
            copies.append(_left_out(picture, first, "same content", "same content as", root))
            doubts += _doubts(first, picture, "same content")
    return [p for p in pictures if used[p.sha256] is p], copies, doubts


def drop_near_copies(pictures: Sequence[Picture], tiny: Mapping[str, bytes], root: Path) -> Sorted:
    """Use a photo in one split only: test wins over valid, valid over train.

    Within a split, near copies are used; under two labels they are doubtful.

    Args:
        pictures: with their splits.
        tiny: content hash to tiny version.
        root: the folder, to name files in it.
    """
    grey_N = np.frombuffer(b"".join(tiny[p.sha256] for p in pictures), np.uint8)
    pairs = alike(pictures, grey_N.reshape(-1, TINY, TINY))
    ordered = []
    for pair in pairs:
        a, b = pictures[pair.first], pictures[pair.second]
        winner, loser = (a, b) if TRUST[a.split] <= TRUST[b.split] else (b, a)
        ordered.append((TRUST[winner.split], -pair.likeness, winner, loser))
    gone: dict[str, LeftOut] = {}
    doubts = []
    for _, likeness, winner, loser in sorted(ordered, key=lambda o: (o[:2], o[2].path, o[3].path)):
        doubts += _doubts(winner, loser, "near copy")
        used = winner.sha256 not in gone and loser.sha256 not in gone
        if used and winner.split != loser.split:
            text = f"looks the same ({-likeness:.0%}) as"
            gone[loser.sha256] = _left_out(loser, winner, "near copy", text, root)
    return [p for p in pictures if p.sha256 not in gone], list(gone.values()), doubts


def _left_out(picture: Picture, first: Picture, why: Why, text: str, root: Path) -> LeftOut:
    label = "same label" if first.label == picture.label else f"but labelled {first.label!r}"
    return LeftOut(
        path=picture.path,
        split=picture.split,
        label=picture.label,
        why=why,
        reason=f"{text} {first.path.relative_to(root)}, {label}",
        other=first,
    )


def _doubts(first: Picture, second: Picture, why: Why) -> list[Doubt]:
    if first.label == second.label:
        return []
    return [Doubt(first=first, second=second, why=why)]
