"""Hostile PNGs, written by hand where Pillow cannot."""

import itertools
import math
import struct
import zlib
from collections.abc import Iterator

from PIL import Image
from tests.events.draw_pictures import png_chunk
from tests.pictures.case import (
    ANSWERED,
    ANY,
    BAD,
    EITHER,
    TOO_LARGE,
    Case,
    alike,
    case,
    cut,
    flipped,
    saved,
    small,
)

MAGIC = b"\x89PNG\r\n\x1a\n"
END = png_chunk(b"IEND", b"")
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
LENGTHS = (0, 1, 12, 255, 65_535, 2**31 - 1, 2**31, 2**32 - 1)
PALETTE = png_chunk(b"PLTE", bytes(range(240)) * 3)


def header(width: int, height: int, depth: int = 8, colour: int = 2, *rest: int) -> bytes:
    """IHDR; the rest are compression, filter and interlacing."""
    numbers = (*rest, 0, 0, 0)[:3]
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *numbers))


def rows(width: int, height: int, depth: int, colour: int, interlaced: int) -> bytes:
    """Pixels before they are packed."""

    def part(across: int, down: int) -> bytes:
        filled = b"\x5a" * math.ceil(across * CHANNELS[colour] * depth / 8)
        return (b"\0" + filled) * down if across else b""

    if not interlaced:
        return part(width, height)
    return b"".join(
        part(-((x - width) // step_x), -((y - height) // step_y))
        for x, y, step_x, step_y in PASSES
        if x < width and y < height
    )


def png(
    width: int, height: int, depth: int = 8, colour: int = 2, interlaced: int = 0,
    before: bytes = b"", after: bytes = b"",
) -> bytes:  # fmt: skip
    """A whole PNG."""
    pixels = zlib.compress(rows(width, height, depth, colour, interlaced))
    palette = PALETTE if colour == 3 else b""
    start = MAGIC + header(width, height, depth, colour, 0, 0, interlaced) + palette + before
    return start + png_chunk(b"IDAT", pixels) + after + END


def packed(name: bytes, size: int) -> bytes:
    """A chunk of a profile or a text that unpacks to so many bytes."""
    start = {b"iCCP": b"a\0\0", b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}[name]
    return png_chunk(name, start + zlib.compress(b"x" * size, 9))


def good() -> dict[str, bytes]:
    palette = small().quantize(16)
    return {
        "rgb": saved(small(), "PNG"),
        "rgba": saved(small("RGBA"), "PNG"),
        "grey": saved(small("L"), "PNG"),
        "grey alpha": saved(small("LA"), "PNG"),
        "one bit": saved(small("1"), "PNG"),
        "palette": saved(palette, "PNG", transparency=0),
        "interlaced": png(48, 36, interlaced=1),
        "16 bits": png(48, 36, depth=16),
        "profile": png(48, 36, before=packed(b"iCCP", 3_000)),
        "many pieces": _in_pieces(png(48, 36, colour=6)),
    }


def chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each chunk begins, and its length."""
    place = len(MAGIC)
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield place, length
        place += 12 + length


def cases() -> Iterator[Case]:
    for name, data in good().items():
        yield case(f"png {name}", data, ANSWERED)
        places = (
            place + step
            for place, length in chunks(data)
            for step in (0, 1, 4, 7, 8, 8 + length // 2, 8 + length, 11 + length)
        )
        yield from cut(f"png {name}", data, places, EITHER)
        yield from flipped(f"png {name}", data, 60)
        for place, right in chunks(data):
            for length in {*LENGTHS, max(0, right - 1), right + 1} - {right}:
                changed = data[:place] + struct.pack(">I", length) + data[place + 4 :]
                yield alike(f"png {name} length {length} at {place}", changed, ANY)
            end = place + 12 + right
            yield alike(f"png {name} without {place}", data[:place] + data[end:], ANY)
            yield alike(f"png {name} twice {place}", data[:end] + data[place:], ANY)
    yield from _kinds()
    yield from _headers()
    yield from _bombs()
    yield from _odd()


def _kinds() -> Iterator[Case]:
    for colour, depths in DEPTHS.items():
        for depth, interlaced in itertools.product(depths, (0, 1)):
            kind = f"{depth} bits of colour type {colour}, interlaced {interlaced}"
            yield case(f"png {kind}", png(31, 17, depth, colour, interlaced), ANSWERED)
            see_through = {0: b"\0\1", 2: b"\0\1" * 3, 3: bytes(9)}.get(colour)
            if see_through:
                before = png_chunk(b"tRNS", see_through)
                data = png(31, 17, depth, colour, interlaced, before)
                yield case(f"png {kind}, see-through", data, ANSWERED)
    for gamma in (0, 1, 45_455, 2**31):
        data = png(8, 8, before=png_chunk(b"gAMA", struct.pack(">I", gamma)))
        yield case(f"png gamma {gamma}", data, ANSWERED)
    for length in (0, 1, 2, 5, 300):
        for colour in (0, 2, 3, 6):
            data = png(8, 8, 8, colour, before=png_chunk(b"tRNS", bytes(length)))
            yield case(f"png colour {colour} see-through {length}", data, *EITHER)
    for length in (0, 1, 3, 767, 771, 60_000):
        start = MAGIC + header(8, 8, 8, 3) + png_chunk(b"PLTE", bytes(length))
        pixels = png_chunk(b"IDAT", zlib.compress(rows(8, 8, 8, 3, 0)))
        yield case(f"png palette of {length} bytes", start + pixels + END, *EITHER)
    yield case("png without a palette", MAGIC + header(8, 8, 8, 3) + pixels + END, *EITHER)


def _headers() -> Iterator[Case]:
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(10_000)))
    for colour, depth in itertools.product((0, 1, 2, 3, 4, 5, 6, 7, 255), (0, 1, 3, 8, 16, 32)):
        if depth not in DEPTHS.get(colour, ()):
            data = MAGIC + header(8, 8, depth, colour) + pixels + END
            yield case(f"png {depth} bits of colour type {colour}", data, BAD)
    for rest in ((1,), (255,), (0, 1), (0, 255), (0, 0, 2), (0, 0, 255)):
        data = MAGIC + header(8, 8, 8, 2, *rest) + pixels + END
        yield case(f"png with compression, filter, interlacing {rest}", data, *EITHER)
    for size in ((0, 8), (8, 0), (0, 0)):
        yield case(f"png of {size[0]} x {size[1]}", MAGIC + header(*size) + pixels + END, BAD)
    for size in ((4_473, 4_473), (30_000, 30_000), (1, 2**31 - 1), (2**31 - 1, 1),
                 (2**31 - 1, 2**31 - 1), (2**32 - 1, 2**32 - 1), (20_000_001, 1)):  # fmt: skip
        data = MAGIC + header(*size) + pixels + END
        yield case(f"png of {size[0]} x {size[1]}", data, TOO_LARGE)
    for size in ((5_000, 4_000), (1, 20_000_000), (20_000_000, 1)):
        data = MAGIC + header(*size) + pixels + END
        yield case(f"png of {size[0]} x {size[1]}, of 10 kB", data, *EITHER)


def _bombs() -> Iterator[Case]:
    for name in (b"iCCP", b"zTXt", b"iTXt"):
        one, thousand = packed(name, 400_000_000), packed(name, 1_000_000) * 4_000
        word = name.decode()
        yield case(f"png of a {word} of 400 MB", png(8, 8, before=one), BAD)
        yield case(f"png of a {word} of 400 MB, last", png(8, 8, after=one), *EITHER)
        yield case(f"png of 4,000 {word} of 1 MB", png(8, 8, before=thousand), BAD)
        yield case(f"png of 4,000 {word} of 1 MB, last", png(8, 8, after=thousand), BAD)
        broken = packed(name, 1_000_000)[:-5] + b"\0\0\0\0\0"
        yield case(f"png of 4,000 broken {word}", png(8, 8, before=broken * 4_000), BAD)
    yield case("png of 30 texts", png(8, 8, before=packed(b"iTXt", 9_000) * 30), ANSWERED)
    odd = png_chunk(b"ab1d", b"") + packed(b"iCCP", 1_000_000) * 4_000
    yield case("png of 4,000 profiles behind an odd name", png(8, 8, before=odd), BAD)
    pixels = zlib.compress(rows(8, 8, 8, 2, 0)) + packed(b"iCCP", 1_000_000) * 4_000
    data = MAGIC + header(8, 8) + png_chunk(b"IDAT", pixels) + END
    yield case("png of 4,000 profiles behind its pixels", data, ANSWERED)
    huge = png_chunk(b"IDAT", zlib.compress(b"\0" * 400_000_000, 9))
    yield case("png of 400 MB of pixels for 64", MAGIC + header(8, 8) + huge + END, *EITHER)
    nothing, text = png_chunk(b"abCd", b""), png_chunk(b"tEXt", b"a\0b")
    yield case("png of 400,000 empty chunks", png(8, 8, before=nothing * 400_000), BAD)
    yield case("png of 400,000 empty chunks, last", png(8, 8, after=nothing * 400_000), BAD)
    yield case("png of 300,000 texts", png(8, 8, before=text * 300_000), BAD)
    yield case("png of 19,000 texts", png(8, 8, before=text * 19_000), ANSWERED)
    empty = png_chunk(b"IDAT", b"")
    yield case("png of 400,000 empty pieces", png(8, 8, after=empty * 400_000), BAD)
    yield case("png of 19,000 empty pieces", png(8, 8, after=empty * 19_000), ANSWERED)


def _odd() -> Iterator[Case]:
    data = png(8, 8)
    turned = small().transpose(Image.Transpose.ROTATE_180)
    animated = saved(small(), "PNG", save_all=True, append_images=[turned])
    yield case("png animated", animated, 415)
    yield from cut("png animated", animated, range(40, len(animated), 29), ANY)
    for frames, plays in ((0, 0), (1, 0), (2**31, 0), (2, 2**32 - 1)):
        control = png_chunk(b"acTL", struct.pack(">II", frames, plays))
        yield case(f"png that says it has {frames} frames", png(8, 8, before=control), *ANY)
    yield case("png with 5 MB behind it", data + b"x" * 5_000_000, ANSWERED)
    yield case("png without an end", data[: -len(END)], *EITHER)
    yield case("png without pixels", MAGIC + header(8, 8) + END, BAD)
    yield case("png of its magic", MAGIC, BAD)
    yield case("png of two headers", data[:33] + header(5_000, 4_000) + data[33:], *ANY)
    huge = data[:33] + header(60_000, 60_000) + data[33:]
    yield case("png of two headers, the second huge", huge, *ANY)
    yield case("png of wrong checks", data[:29] + b"\0\0\0\0" + data[33:], BAD)
    raw = rows(8, 8, 8, 2, 0)
    for kind in (5, 9, 255):
        pixels = png_chunk(b"IDAT", zlib.compress(bytes([kind]) + raw[1:]))
        yield case(f"png of filter {kind}", MAGIC + header(8, 8) + pixels + END, *EITHER)
    for size in ((1, 65_000), (65_000, 1), (1, 1), (2, 2_000_000), (20_000_000, 1)):
        for colour in (0, 6):
            data = png(*size, 8, colour)
            yield case(f"png of {size[0]} x {size[1]}, colour {colour}", data, ANSWERED)


def _in_pieces(data: bytes) -> bytes:
    """With the pixels in chunks of 20 bytes."""
    start = data.index(b"IDAT") - 4
    length = int.from_bytes(data[start : start + 4], "big")
    pixels = data[start + 8 : start + 8 + length]
    pieces = (png_chunk(b"IDAT", pixels[at : at + 20]) for at in range(0, length, 20))
    return data[:start] + b"".join(pieces) + data[start + 12 + length :]
