"""Pictures that are small files and endless work, told by their bytes before Pillow opens them.

Pillow and libjpeg bound a picture's pixels, not how often a file makes them go over these pixels
or unpack something beside them. A good picture costs a walk along its few headers here.
"""

import re

from contract.messages import RequestError

MAX_JPEG_SCANS = 50
"""A progressive JPEG has about ten. Each goes over every pixel, and one of 58 bytes can."""
MAX_JPEG_SEGMENTS = 4_096
"""Before the first scan, padding included."""
MAX_PNG_CHUNKS = 20_000
MAX_PNG_PACKED = 64
"""Chunks beside the pixels that are unpacked, each to at most 1 MiB: profiles and texts."""

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_FRAMES_OF_ONE_PASS = (0xC0, 0xC1)
_PACKED = (b"iCCP", b"iTXt", b"zTXt")
_CHUNK_NAME = re.compile(rb"[A-Za-z]{4}")


def check_work(data: bytes) -> None:
    """Refuse a picture that would take far more work than its pixels do.

    Raises:
        RequestError: 400, what it has too many of.
    """
    if data.startswith(_JPEG):
        if not _decoded_in_one_pass(data):
            # Coded pixels never hold these two bytes, so this is at least the number of scans.
            _limit("JPEG", data.count(b"\xff\xda"), MAX_JPEG_SCANS, "scans")
    elif data.startswith(_PNG):
        _limit("PNG", _packed_chunks(data), MAX_PNG_PACKED, "packed profiles and texts")


def _decoded_in_one_pass(data: bytes) -> bool:
    """Whether a JPEG's first scan is all that libjpeg decodes; False also where that is unclear."""
    place, tidy, colours = 2, True, -1
    for _ in range(MAX_JPEG_SEGMENTS):
        place = data.find(b"\xff", place)
        if place < 0 or place + 10 > len(data):
            return False
        marker = data[place + 1]
        if marker in _FRAMES_OF_ONE_PASS:
            colours = data[place + 9]
        if marker == 0xDA:
            return tidy and data[place + 4] == colours
        if _has_length(marker):
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
            tidy = tidy and data[place : place + 1] == b"\xff"
        else:
            place, tidy = place + (1 if marker == 0xFF else 2), False
    raise _refusal("JPEG", f"more than {MAX_JPEG_SEGMENTS:,}", MAX_JPEG_SEGMENTS, "segments")


def _has_length(marker: int) -> bool:
    """Whether Pillow skips what follows a marker by the length that it states."""
    return marker >= 0xC0 and marker != 0xC8 and not 0xD0 <= marker <= 0xD9 and (
        marker < 0xF0 or marker == 0xFE
    )  # fmt: skip


def _packed_chunks(data: bytes) -> int:
    """How many chunks of a PNG are unpacked when it is opened and loaded, at most."""
    place, count = len(_PNG), 0
    for _ in range(MAX_PNG_CHUNKS):
        length, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if name == b"IEND" or place >= len(data):
            return count
        if _CHUNK_NAME.fullmatch(name) is None:
            # Whether Pillow goes on here is its own affair, so the whole file is searched.
            return sum(data.count(packed) for packed in _PACKED)
        count += name in _PACKED
        place += 12 + length
    raise _refusal("PNG", f"more than {MAX_PNG_CHUNKS:,}", MAX_PNG_CHUNKS, "chunks")


def _limit(kind: str, found: int, most: int, what: str) -> None:
    if found > most:
        raise _refusal(kind, f"{found:,}", most, what)


def _refusal(kind: str, found: str, most: int, what: str) -> RequestError:
    return RequestError(
        "bad_request",
        f"The {kind} has {found} {what}; at most {most:,} are accepted. Save it again as a plain "
        f"{kind}.",
    )
