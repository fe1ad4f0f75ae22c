"""Files that are something else, or two things at once, and whole pictures of the largest size."""

import io
import random
import zipfile
from collections.abc import Iterator

from PIL import Image
from tests.events.draw_pictures import png_chunk
from tests.pictures import jpeg, png, webp
from tests.pictures.case import (
    ANSWERED,
    ANY,
    BAD,
    NO_PICTURE,
    Case,
    alike,
    case,
    saved,
    small,
)

MAGICS = {
    "jpeg": b"\xff\xd8\xff", "png": png.MAGIC, "webp": b"RIFF\x40\0\0\0WEBPVP8 ", "gif": b"GIF89a",
    "bmp": b"BM", "tiff": b"II*\0", "big tiff": b"MM\0*", "ico": b"\0\0\1\0", "pdf": b"%PDF-1.7\n",
    "heic": b"\0\0\0\x18ftypheic", "avif": b"\0\0\0\x18ftypavif", "zip": b"PK\3\4",
    "jpeg xl": b"\xff\x0a", "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n", "psd": b"8BPS\0\1",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n", "svg": b"<svg xmlns='http://www.w3.org/2000/svg'>",
    "html": b"<!doctype html><script>", "elf": b"\x7fELF", "gzip": b"\x1f\x8b\x08",
    "pickle": b"\x80\4",
    "farbfeld": b"farbfeld", "qoi": b"qoif", "pnm": b"P6 48 36 255\n", "fits": b"SIMPLE  =",
    "dds": b"DDS ",
    "mpeg": b"\0\0\1\xba", "wave": b"RIFF\x40\0\0\0WAVEfmt ", "xpm": b"/* XPM */", "flif": b"FLIF",
}  # fmt: skip
OURS = ("jpeg", "png", "webp")


def cases() -> Iterator[Case]:
    yield case("nothing", b"", BAD)
    for number in range(256):
        yield alike(f"the byte {number}", bytes([number]), frozenset({NO_PICTURE}))
    for name, magic in MAGICS.items():
        mine = name in OURS
        expected = frozenset({BAD, NO_PICTURE} if mine else {NO_PICTURE})
        yield Case(f"{name}, its magic", magic, expected)
        for number in range(12):
            noise = random.Random(f"{name} {number}").randbytes(3 ** (number % 9))
            yield alike(f"{name}, noise {number}", magic + noise, ANY if mine else expected)
    yield from _other_formats()
    yield from _two_at_once()
    yield from _large()


def _other_formats() -> Iterator[Case]:
    turned = small().transpose(Image.Transpose.ROTATE_180)
    for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "DDS", "JPEG2000", "PDF", "EPS",
                 "AVIF", "ICNS", "SGI"):  # fmt: skip
        yield case(f"a {kind}", saved(small(), kind), NO_PICTURE)
    animated = saved(small(), "GIF", save_all=True, append_images=[turned])
    yield case("an animated GIF", animated, NO_PICTURE)


def _two_at_once() -> Iterator[Case]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("evil.sh", "rm -rf ~")
    html = b"<html><script>alert(1)</script>"
    pictures = {"jpeg": jpeg.good()["baseline"], "png": png.good()["rgb"],
                "webp": webp.good()["lossy"]}  # fmt: skip
    for name, data in pictures.items():
        for other, tail in {"zip": content.getvalue(), "html": html, "pdf": MAGICS["pdf"]}.items():
            yield case(f"{name} and {other}", data + tail, ANSWERED)
            expected = NO_PICTURE
            yield case(f"{other} and {name}", tail + data, expected)
        for other in ("gif", "bmp", "tiff", "heic", "svg"):
            yield case(f"{other} and {name}", MAGICS[other] + data, NO_PICTURE)
        for second, more in pictures.items():
            yield case(f"{name} and {second}", data + more, ANSWERED)
            yield case(f"{name}'s magic and {second}", data[:3] + more, BAD, NO_PICTURE)
        for space in (b" ", b"\n", b"\0", b"\xef\xbb\xbf"):
            yield case(f"{space!r} and {name}", space + data, NO_PICTURE)


def _large() -> Iterator[Case]:
    """Of as many pixels as are accepted, of each kind that needs memory in its own way."""
    size = (5_000, 4_000)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb = Image.radial_gradient("L").resize(size).convert("RGB")
    rgba = rgb.convert("RGBA")
    rgba.putalpha(90)
    for depth, colour in ((1, 0), (16, 0), (8, 2), (16, 2), (8, 3), (16, 4), (8, 6), (16, 6)):
        data = png.png(*size, depth, colour, 1)
        yield case(f"large png of {depth} bits, colour {colour}", data, ANSWERED)
    turned = png_chunk(b"eXIf", exif.tobytes()[6:])
    yield case("large png, turned", png.png(*size, 8, 6, before=turned), ANSWERED)
    yield case("large webp", saved(rgba, "WEBP", method=0, quality=40, exif=exif), ANSWERED)
    flat = Image.new("RGBA", size, (200, 40, 40, 90))
    yield case("large webp, lossless", saved(flat, "WEBP", lossless=True, exif=exif), ANSWERED)
    for progressive in (False, True):
        for mode in ("L", "RGB", "CMYK"):
            data = saved(rgb.convert(mode), "JPEG", quality=50, progressive=progressive,
                         subsampling=0, exif=exif)  # fmt: skip
            yield case(f"large jpeg {mode}, progressive {progressive}", data, ANSWERED)
