"""Hostile WEBPs: RIFF files of chunks, each a name, a length and as many bytes."""

import struct
from collections.abc import Iterator

from PIL import Image
from tests.pictures.case import (
    ANSWERED,
    ANY,
    BAD,
    EITHER,
    NO_PICTURE,
    TOO_LARGE,
    Case,
    alike,
    case,
    cut,
    flipped,
    saved,
    small,
)

LENGTHS = (0, 1, 9, 65_535, 2**31 - 1, 2**31, 2**32 - 10, 2**32 - 1)


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def riff(content: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    """The chunk that says how large the picture is, when there is more than the picture."""
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides)


def good() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "lossy": saved(small(), "WEBP"),
        "lossless": saved(small(), "WEBP", lossless=True),
        "see-through": saved(small("RGBA"), "WEBP"),
        "see-through lossless": saved(small("RGBA"), "WEBP", lossless=True),
        "exif": saved(small(), "WEBP", exif=exif, icc_profile=b"profile" * 9, xmp=b"<x/>"),
    }


def chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each chunk begins, and its length."""
    place = 12
    while place < len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        yield place, length
        place += 8 + length + length % 2


def animated(frames: int, size: tuple[int, int] = (48, 36)) -> bytes:
    first = Image.new("RGB", size, (200, 40, 40))
    others = [Image.new("RGB", size, (n % 256, 9, 9)) for n in range(1, frames)]
    return saved(first, "WEBP", save_all=True, append_images=others)


def cases() -> Iterator[Case]:
    for name, data in good().items():
        yield case(f"webp {name}", data, ANSWERED)
        places = [p + step for p, n in chunks(data) for step in (0, 1, 4, 8, 12, 8 + n // 2, 7 + n)]
        yield from cut(f"webp {name}", data, [*range(1, 13), *places], ANY)
        yield from flipped(f"webp {name}", data, 90)
        for place, right in [(0, len(data) - 8), *chunks(data)]:
            for length in {*LENGTHS, max(0, right - 1), right + 1} - {right}:
                changed = data[: place + 4] + struct.pack("<I", length) + data[place + 8 :]
                yield alike(f"webp {name} length {length} at {place}", changed, ANY)
        for place, length in chunks(data):
            end = place + 8 + length + length % 2
            yield alike(f"webp {name} without {place}", riff(data[12:place] + data[end:]), ANY)
            yield alike(f"webp {name} twice {place}", riff(data[12:end] + data[place:]), ANY)
    yield from _sizes()
    yield from _odd()


def _sizes() -> Iterator[Case]:
    lossless = good()["lossless"]
    place = lossless.index(b"VP8L") + 9
    for width, height in ((16_384, 16_384), (16_383, 16_383), (5_000, 4_001), (1, 16_384)):
        bits = (width - 1) | (height - 1) << 14
        changed = lossless[:place] + struct.pack("<I", bits) + lossless[place + 4 :]
        expected = (TOO_LARGE,) if width * height > 20_000_000 else (BAD,)
        yield case(f"webp lossless that says {width} x {height}", changed, *expected)
    lossy = good()["lossy"]
    place = lossy.index(b"\x9d\x01\x2a") + 3
    for width, height in ((16_383, 16_383), (16_383, 1_300), (0, 0), (0, 36)):
        changed = lossy[:place] + struct.pack("<HH", width, height) + lossy[place + 4 :]
        expected = (TOO_LARGE,) if width * height > 20_000_000 else (BAD,)
        yield case(f"webp lossy that says {width} x {height}", changed, *expected)
    for width, height in ((16_383, 16_383), (2**24, 255), (2**24, 2**24), (1, 1), (5_000, 4_000)):
        data = riff(canvas(width, height) + lossy[12:])
        yield case(f"webp on a canvas of {width} x {height}", data, BAD, TOO_LARGE)
    for size in ((1, 1), (1, 16_383), (16_383, 1), (16_383, 1_220)):
        for plain in (True, False):
            data = saved(Image.new("RGBA", size, (9, 9, 9, 99)), "WEBP", lossless=plain)
            yield case(f"webp of {size[0]} x {size[1]}, lossless {plain}", data, ANSWERED)


def _odd() -> Iterator[Case]:
    yield case("webp animated", animated(3), NO_PICTURE)
    yield case("webp of 500 pictures", animated(500), NO_PICTURE)
    yield case("webp of 3 big pictures", animated(3, (4_000, 4_000)), NO_PICTURE)
    two = animated(2)
    yield from cut("webp animated", two, range(20, len(two), 17), ANY)
    lossy = good()["lossy"]
    yield case("webp with 5 MB behind it", lossy + b"x" * 5_000_000, ANSWERED)
    yield case("webp twice", lossy + lossy, ANSWERED)
    yield case("webp of its magic", b"RIFF\4\0\0\0WEBP", BAD, NO_PICTURE)
    yield case("webp of one empty chunk", riff(chunk(b"VP8 ", b"")), BAD)
    yield case("webp of a canvas alone", riff(canvas(48, 36)), BAD)
    profile = chunk(b"ICCP", b"x" * 5_000_000)
    with_profile = riff(canvas(48, 36, 0x20) + profile + lossy[12:])
    yield case("webp of a profile of 5 MB", with_profile, *EITHER)
    many = chunk(b"abcd", b"") * 600_000
    yield case("webp of 600,000 empty chunks", riff(canvas(48, 36) + many + lossy[12:]), *EITHER)
    yield case("webp of 600,000 empty chunks, last", riff(canvas(48, 36) + lossy[12:] + many),
               *EITHER)  # fmt: skip
