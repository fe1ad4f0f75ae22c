"""Hostile JPEGs."""

import re
import struct
from collections.abc import Iterator

import numpy as np
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

LENGTHS = (0, 1, 2, 3, 4, 255, 32_767, 65_535)


def segment(marker: int, content: bytes = b"") -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def good() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "baseline": saved(small(), "JPEG"),
        "restarts": saved(small(), "JPEG", restart_marker_blocks=1),
        "progressive": saved(small(), "JPEG", progressive=True),
        "progressive restarts": saved(small(), "JPEG", progressive=True, restart_marker_blocks=2),
        "grey": saved(small("L"), "JPEG"),
        "cmyk": saved(small("CMYK"), "JPEG"),
        "full colour": saved(small(), "JPEG", subsampling=0, quality=95),
        "exif": saved(small(), "JPEG", exif=exif),
    }


def segments(data: bytes) -> list[int]:
    """Where each segment with a length begins, up to the first scan, whose data follow."""
    found, place = [], 2
    while True:
        found.append(place)
        if data[place + 1] == 0xDA:
            return found
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")


def cases() -> Iterator[Case]:
    for name, data in good().items():
        yield case(f"jpeg {name}", data, ANSWERED)
        markers = [found.start() for found in re.finditer(rb"\xff[^\x00\xff]", data)]
        places = (m + step for m in markers for step in (0, 1, 2, 3, 4, 7))
        yield from cut(f"jpeg {name}", data, places, EITHER | {NO_PICTURE})
        yield from flipped(f"jpeg {name}", data, 90)
        yield from _wrong_lengths(name, data)
        yield from _without_or_twice(name, data)
    yield from _frames()
    yield from _colours()
    yield from _bombs()
    yield from _odd()


def _wrong_lengths(name: str, data: bytes) -> Iterator[Case]:
    for place in segments(data):
        right = int.from_bytes(data[place + 2 : place + 4], "big")
        for length in {*LENGTHS, right - 1, right + 1} - {right}:
            changed = data[: place + 2] + struct.pack(">H", length) + data[place + 4 :]
            yield alike(f"jpeg {name} length {length} at {place}", changed, ANY)


def _without_or_twice(name: str, data: bytes) -> Iterator[Case]:
    for place in segments(data):
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        yield alike(f"jpeg {name} without {place}", data[:place] + data[end:], ANY)
        yield alike(f"jpeg {name} twice {place}", data[:end] + data[place:], ANY)


def _frame(data: bytes, place: int, value: bytes) -> bytes:
    """Write over the frame header, whose bytes are: marker, length, precision, height, width,
    number of colours, then number, sampling and table of each."""
    start = next(p for p in segments(data) if data[p + 1] in (0xC0, 0xC1, 0xC2)) + place
    return data[:start] + value + data[start + len(value) :]


def _frames() -> Iterator[Case]:
    for name in ("baseline", "progressive"):
        data = good()[name]
        for marker in (*range(0xC0, 0xD0), 0xF7):
            if marker not in (0xC4, 0xC8, 0xCC):
                changed = _frame(data, 1, bytes([marker]))
                yield alike(f"jpeg {name} as frame {marker:x}", changed, EITHER)
        for bits in (0, 1, 2, 7, 9, 12, 16, 255):
            changed = _frame(data, 4, bytes([bits]))
            yield case(f"jpeg {name} of {bits} bits", changed, BAD)
        for height, width in ((0, 48), (36, 0), (0, 0)):
            changed = _frame(data, 5, struct.pack(">HH", height, width))
            yield case(f"jpeg {name} of {width} x {height}", changed, BAD)
        for height, width in ((65_500, 65_500), (65_535, 65_535), (4_473, 4_473)):
            changed = _frame(data, 5, struct.pack(">HH", height, width))
            yield case(f"jpeg {name} of {width} x {height}", changed, TOO_LARGE)
        for height, width in ((1, 65_535), (65_500, 1), (37, 49), (2_000, 3_000)):
            changed = _frame(data, 5, struct.pack(">HH", height, width))
            yield case(f"jpeg {name} of {width} x {height}", changed, *EITHER)
        for colours in (0, 1, 2, 4, 5, 255):
            changed = _frame(data, 9, bytes([colours]))
            yield case(f"jpeg {name} of {colours} colours", changed, *EITHER)
        for sampling in (0x00, 0x01, 0x10, 0x55, 0x14, 0x41, 0x44, 0xFF):
            changed = _frame(data, 11, bytes([sampling]))
            yield case(f"jpeg {name} sampled {sampling:x}", changed, *EITHER)


def _colours() -> Iterator[Case]:
    adobe = re.compile(rb"\xff\xee..Adobe.{7}", re.DOTALL)
    for progressive in (False, True):
        cmyk = saved(small("CMYK"), "JPEG", progressive=progressive)
        name = "progressive cmyk" if progressive else "cmyk"
        assert adobe.search(cmyk)
        yield case(f"jpeg {name} without Adobe", adobe.sub(b"", cmyk), ANSWERED)
        for transform in (0, 1, 2, 3, 255):
            marker = segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
            changed = adobe.sub(lambda _, marker=marker: marker, cmyk)  # type: ignore[misc]
            yield case(f"jpeg {name} of Adobe {transform}", changed, ANSWERED)
    ycck = saved(small("YCbCr"), "JPEG")
    yield case("jpeg ycc", ycck, ANSWERED)
    for transform in (0, 1, 2, 255):
        changed = ycck[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform])) + ycck[2:]
        yield case(f"jpeg ycc of Adobe {transform}", changed, ANSWERED)


def scans(image: Image.Image, count: int, *, mark: bytes = b"\xff") -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = saved(image, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xc4")
    assert b"\xff\xda" in data[last:]
    return mark.join([data[:2], data[2:-2]]) + data[last:-2] * count + b"\xff\xd9"


def _bombs() -> Iterator[Case]:
    big = Image.new("L", (5_000, 4_000), 9)
    yield case("jpeg of 25 more scans", scans(big, 25, mark=b""), ANSWERED)
    yield case("jpeg of 2,000 more scans", scans(big, 2_000, mark=b""), BAD)
    yield case("jpeg of 90,000 more scans", scans(big, 90_000, mark=b""), BAD)
    yield case("jpeg of 2,000 more scans, padded", scans(big, 2_000), BAD)
    data = saved(Image.new("RGB", (4_000, 5_000), (90, 60, 30)), "JPEG", subsampling=0)
    start = segments(data)[-1]
    # One colour a scan instead of all three at once: again and again the same.
    one = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
    yield case("jpeg of one colour 2,000 times", data[:start] + one * 2_000 + data[-2:], BAD)
    data = good()["baseline"]
    for marker in (0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE):
        yield case(
            f"jpeg of a million empty {marker:x}", data[:2] + segment(marker) * 1_000_000, BAD
        )
    yield case(
        "jpeg of 2,000 comments", data[:2] + segment(0xFE, b"a") * 2_000 + data[2:], ANSWERED
    )
    yield case("jpeg of much padding", data[:2] + b"\xff" * 5_000_000 + data[2:], BAD)
    yield case("jpeg of some padding", data[:2] + b"\xff" * 9 + data[2:], ANSWERED)
    yield case("jpeg of much junk", data[:2] + b"\0" * 5_000_000 + data[2:], NO_PICTURE)
    profiles = b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 89]) + b"x" * 65_000) for n in range(1, 90)
    )
    yield case("jpeg of a profile of 5.8 MB", data[:2] + profiles + data[2:], ANSWERED)
    yield case(
        "jpeg of 4,000 photoshop blocks",
        data[:2]
        + segment(0xED, b"Photoshop 3.0\0" + (b"8BIM" + b"\4\4\0\0\0\0\0\0") * 4_000)
        + data[2:],
        ANSWERED,
    )


def _odd() -> Iterator[Case]:
    data = good()["baseline"]
    noise = np.random.default_rng(3).integers(0, 256, 40_000, np.uint8).tobytes()
    head = segments(data)[-1] + 14
    yield case("jpeg of noise for pixels", data[:head] + noise + data[-2:], *EITHER)
    yield case("jpeg of ones for pixels", data[:head] + b"\xff" * 40_000, *EITHER)
    yield case("jpeg of zeros for pixels", data[:head] + b"\0" * 40_000 + data[-2:], *EITHER)
    yield case("jpeg with 5 MB behind it", data + b"x" * 5_000_000, ANSWERED)
    yield case("jpeg of one end", b"\xff\xd8\xff\xd9", BAD)
    yield case("jpeg twice", data + data, ANSWERED)
    yield case("jpeg of starts", b"\xff\xd8" * 1_000_000 + data, *EITHER)
    tables = segment(0xDB, b"\0" + b"\0" * 64)
    yield case("jpeg of a table of zeros", data[:2] + tables + data[2:], *EITHER)
    yield case("jpeg of an endless code", data[:2] + segment(0xC4, b"\0" + b"\xff" * 16) + data[2:],
               *EITHER)  # fmt: skip
    yield case("jpeg of restarts every line", data[:2] + segment(0xDD, b"\0\1") + data[2:], *EITHER)
    for size in ((1, 65_000), (65_000, 1), (1, 1), (2, 30_000), (30_000, 2), (65_500, 300)):
        for progressive in (False, True):
            image = Image.new("RGB", size, (200, 40, 40))
            shape = f"{size[0]} x {size[1]} progressive {progressive}"
            yield case(f"jpeg {shape}", saved(image, "JPEG", progressive=progressive), ANSWERED)
