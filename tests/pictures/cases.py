"""Every hostile picture of this folder: the same ones each time, each once."""

import functools

from tests.pictures import foreign, jpeg, metadata, png, webp
from tests.pictures.case import Case

ROOMS = (jpeg, png, webp, metadata, foreign)


@functools.cache
def hostile_pictures() -> tuple[Case, ...]:
    """All of them; of files with the same bytes, the first."""
    found: dict[bytes, Case] = {}
    for room in ROOMS:
        for one in room.cases():
            found.setdefault(one.data, one)
    return tuple(found.values())
