"""What is known of the pictures of a folder."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SPLITS = ("train", "valid", "test")
TRUST = {"test": 0, "valid": 1, "train": 2}
"""Which of two equal pictures is used: that of the split with the lower number."""

Why = Literal["unreadable", "same content", "near copy"]


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
    width_px: int
    """As it is seen, so after EXIF rotation."""
    height_px: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """One file that is not used."""

    path: Path
    split: str
    """Empty where the folder has no splits of its own."""
    label: str
    why: Why
    reason: str
    """In a sentence, for people."""
    other: Picture | None = None
    """The picture that is used instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """The same picture under two labels: one of them is wrong."""

    first: Picture
    second: Picture
    why: Why


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """What a model is trained and judged on."""

    root: Path
    classes: tuple[str, ...]
    """Sorted; a class's place is its output's number."""
    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...]
    doubts: tuple[Doubt, ...] = ()
    """Pictures whose labels contradict each other."""

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
