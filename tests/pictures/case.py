"""One hostile picture, and the small tools that all families of them are made with."""

import io
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from PIL import Image
from tests.events.draw_pictures import scene

ANSWERED, BAD, TOO_LARGE, NO_PICTURE = 200, 400, 413, 415
EITHER = frozenset({ANSWERED, BAD})
ANY = frozenset({ANSWERED, BAD, TOO_LARGE, NO_PICTURE})
"""Where a change may hit anything; never 5xx."""


@dataclass(frozen=True, slots=True)
class Case:
    """A file that somebody sends."""

    name: str
    data: bytes
    expected: frozenset[int]
    """HTTP statuses that are right for it."""
    special: bool = True
    """Made by hand, and not one of hundreds alike."""


def case(name: str, data: bytes, *expected: int) -> Case:
    return Case(name, data, frozenset(expected))


def alike(name: str, data: bytes, expected: frozenset[int]) -> Case:
    return Case(name, data, expected, special=False)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def small(mode: str = "RGB") -> Image.Image:
    """The scene of 48 x 36 pixels in any mode that Pillow converts to."""
    return scene().convert(mode)


def cut(name: str, data: bytes, places: Iterable[int], expected: frozenset[int]) -> Iterator[Case]:
    for place in sorted({p for p in places if 0 < p < len(data)}):
        yield alike(f"{name} cut at {place}", data[:place], expected)


def flipped(name: str, data: bytes, count: int) -> Iterator[Case]:
    """One to four bits changed, half of them in the first 100 bytes, where the header is."""
    chance = random.Random(f"{name} {len(data)}")
    for number in range(count):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            reach = min(100, len(data)) if number % 2 else len(data)
            changed[chance.randrange(reach)] ^= 1 << chance.randrange(8)
        yield alike(f"{name} flipped {number}", bytes(changed), ANY)
