"""What stands beside the pixels: EXIF, XMP, colour profiles, the index of multi-picture files."""

import struct
from collections.abc import Iterator

from PIL import Image
from tests.events.draw_pictures import png_chunk
from tests.pictures import jpeg, png, webp
from tests.pictures.case import ANSWERED, EITHER, Case, case, saved, small

ORIENTATION, IMAGE, EXIF, GPS = 0x0112, 0x0100, 0x8769, 0x8825
BYTE, TEXT, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7

Entry = tuple[int, int, int, int]
"""Tag, type, count, and the value or where it lies."""


def directory(entries: list[Entry], following: int = 0, order: str = ">") -> bytes:
    """A TIFF file of one directory."""
    start = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}L", 8)
    body = b"".join(struct.pack(f"{order}HHLL", *entry) for entry in entries)
    length = struct.pack(f"{order}H", len(entries) % 65_536)
    return start + length + body + struct.pack(f"{order}L", following)


def _blocks() -> Iterator[tuple[str, bytes]]:
    """EXIF data, by what is wrong with them."""
    for value in (0, 1, 6, 8, 9, 255, 65_535):
        yield f"orientation {value}", directory([(ORIENTATION, SHORT, 1, value << 16)])
    for kind in (
        0,
        BYTE,
        TEXT,
        LONG,
        RATIONAL,
        6,
        UNDEFINED,
        8,
        9,
        10,
        11,
        12,
        13,
        16,
        129,
        65_535,
    ):
        yield f"orientation of type {kind}", directory([(ORIENTATION, kind, 1, 6 << 16)])
    for count in (0, 2, 3, 1_000, 2**31, 2**32 - 1):
        yield f"orientation {count} times", directory([(ORIENTATION, SHORT, count, 8)])
    for where in (0, 8, 2**31, 2**32 - 1):
        yield f"a value at {where}", directory([(ORIENTATION, RATIONAL, 1, where)])
    for following in (8, 4, 2**32 - 1):
        yield f"a next directory at {following}", directory([], following)
    for tag in (EXIF, GPS):
        yield f"itself as directory {tag:x}", directory([(tag, LONG, 1, 8)])
    yield "little end first", directory([(ORIENTATION, SHORT, 1, 6)], order="<")
    yield "nothing", b""
    yield "a beginning", b"MM\0*"
    yield "another beginning", b"XX\0*\0\0\0\x08\0\0"
    yield "a big TIFF", b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 2**63)
    yield "a directory beyond the end", b"MM\0*\xff\xff\xff\xff"
    yield "more entries than there are", b"MM\0*\0\0\0\x08\xff\xff" + bytes(50)
    yield "the same entry often", directory([(ORIENTATION, SHORT, 1, 6 << 16)] * 5_000)
    overlapping: list[Entry] = [(tag, UNDEFINED, 55_000, 8) for tag in range(5_000)]
    yield "5,000 values in one place", directory(overlapping)
    nested: list[Entry] = [(tag, LONG, 13_000, 8) for tag in range(5_000)]
    yield "5,000 values of numbers in one place", directory(nested)


def cases() -> Iterator[Case]:
    plain_jpeg = jpeg.good()["baseline"]
    start = jpeg.segments(plain_jpeg)[1]  # behind JFIF
    plain_png, plain_webp = png.good()["rgb"], webp.good()["lossy"]
    for name, block in _blocks():
        exif = jpeg.segment(0xE1, b"Exif\0\0" + block)
        yield case(f"jpeg of exif, {name}", plain_jpeg[:2] + exif + plain_jpeg[start:], ANSWERED)
        yield case(
            f"jpeg of jfif and exif, {name}",
            plain_jpeg[:start] + exif + plain_jpeg[start:],
            ANSWERED,
        )
        index = jpeg.segment(0xE2, b"MPF\0" + block)
        yield case(f"jpeg of several, {name}", plain_jpeg[:2] + index + plain_jpeg[2:], *EITHER)
        data = plain_png[:-12] + png_chunk(b"eXIf", block) + png.END
        yield case(f"png of exif, {name}", data, ANSWERED)
        raw = b"Raw profile type exif\0\nexif\n9\n" + block[:20_000].hex().encode()
        data = plain_png[:33] + png_chunk(b"tEXt", raw) + plain_png[33:]
        yield case(f"png of exif as text, {name}", data, ANSWERED)
        data = webp.riff(webp.canvas(48, 36, 8) + plain_webp[12:] + webp.chunk(b"EXIF", block))
        yield case(f"webp of exif, {name}", data, *EITHER)
    yield from _bombs(plain_jpeg, plain_png, plain_webp)
    yield from _several()
    yield from _texts(plain_jpeg, plain_png)


def _bombs(plain_jpeg: bytes, plain_png: bytes, plain_webp: bytes) -> Iterator[Case]:
    many: list[Entry] = [(tag, UNDEFINED, 5_500_000, 8) for tag in range(65_000)]
    block = directory(many) + bytes(5_000_000)
    pieces = [block[at : at + 65_000] for at in range(0, 5_500_000, 65_000)]
    exif = b"".join(jpeg.segment(0xE1, b"Exif\0\0" + piece) for piece in pieces)
    bare = plain_jpeg[:2] + plain_jpeg[jpeg.segments(plain_jpeg)[1] :]
    yield case("jpeg of 65,000 values of 5 MB", bare[:2] + exif + bare[2:], ANSWERED)
    data = plain_png[:-12] + png_chunk(b"eXIf", block) + png.END
    yield case("png of 65,000 values of 5 MB", data, ANSWERED)
    data = webp.riff(webp.canvas(48, 36, 8) + plain_webp[12:] + webp.chunk(b"EXIF", block))
    yield case("webp of 65,000 values of 5 MB", data, *EITHER)
    for kind, bytes_each in ((RATIONAL, 8), (SHORT, 2), (BYTE, 1), (12, 8)):
        count = 5_500_000 // bytes_each
        block = directory([(ORIENTATION, kind, count, 8)]) + bytes(5_500_000)
        data = plain_png[:-12] + png_chunk(b"eXIf", block) + png.END
        yield case(f"png of {count} orientations of type {kind}", data, ANSWERED)


def _several() -> Iterator[Case]:
    second = small().transpose(Image.Transpose.ROTATE_180)
    whole = saved(small(), "MPO", save_all=True, append_images=[second] * 4)
    yield case("jpeg of five pictures", whole, ANSWERED)
    for at in range(300, len(whole), 97):
        yield case(f"jpeg of five pictures cut at {at}", whole[:at], *EITHER)
    for value in (0, 1, 2, 10_000, 2**32 - 1):
        index = directory([(0xB001, LONG, 1, value), (0xB002, UNDEFINED, 32, 8)])
        data = jpeg.good()["baseline"]
        changed = data[:2] + jpeg.segment(0xE2, b"MPF\0" + index) + data[2:]
        yield case(f"jpeg that says it has {value} pictures", changed, ANSWERED)


def _texts(plain_jpeg: bytes, plain_png: bytes) -> Iterator[Case]:
    texts = {
        "an orientation": b'<x tiff:Orientation="6"/>',
        "a wrong orientation": b'<x tiff:Orientation="9"/>',
        "an entity bomb": b'<!DOCTYPE a [<!ENTITY b "&c;&c;">]><a>&b;</a>',
        "much": b"<x>" * 20_000,
        "no text": bytes(range(256)) * 100,
    }
    for name, text in texts.items():
        xmp = jpeg.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text)
        yield case(f"jpeg of xmp, {name}", plain_jpeg[:2] + xmp + plain_jpeg[2:], ANSWERED)
        chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text)
        yield case(f"png of xmp, {name}", plain_png[:33] + chunk + plain_png[33:], *EITHER)
    for name, content in {
        "empty": b"", "no name": b"\0\0", "not packed": b"a\0\0junk", "another way": b"a\0\1junk",
    }.items():  # fmt: skip
        chunk = png_chunk(b"iCCP", content)
        yield case(f"png of a profile, {name}", plain_png[:33] + chunk + plain_png[33:], *EITHER)
    for number, count in ((0, 0), (1, 255), (9, 2), (255, 255)):
        profile = jpeg.segment(0xE2, b"ICC_PROFILE\0" + bytes([number, count]) + b"junk")
        data = plain_jpeg[:2] + profile + plain_jpeg[2:]
        yield case(f"jpeg of profile {number} of {count}", data, ANSWERED)
