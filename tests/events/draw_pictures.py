"""Draws the pictures of this folder: python tests/events/draw_pictures.py."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "pictures"
SIZE = (48, 36)


def scene() -> Image.Image:
    """A red left, a green right, a dark strip on top: every rotation looks different."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[:, :24] = (200, 40, 40)
    pixels[:, 24:] = (40, 160, 40)
    pixels[:8] //= 3
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in 130 bytes of header and a little data."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", data)
        + png_chunk(b"IEND", b"")
    )


def exif_rotated(orientation: int) -> bytes:
    """The scene, stored so that this EXIF orientation turns it upright."""
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = scene() if stored is None else scene().transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, "JPEG", quality=95, subsampling=0, exif=exif)


def pictures() -> dict[str, bytes]:
    """Every file of the folder."""
    rgb = scene()
    rgba = rgb.convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(SIZE))
    palette = rgb.quantize(16)
    grey_16 = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    frames = [rgb, rgb.transpose(Image.Transpose.ROTATE_180)]
    jpeg = saved(rgb, "JPEG", quality=90)
    return {
        "rgb.jpg": jpeg,
        "rgb.png": saved(rgb, "PNG"),
        "rgb.webp": saved(rgb, "WEBP", quality=90),
        "grey.jpg": saved(rgb.convert("L"), "JPEG"),
        "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG"),
        "rgba.png": saved(rgba, "PNG"),
        "rgba.webp": saved(rgba, "WEBP"),
        "grey_16_bits.png": saved(grey_16, "PNG"),
        "one_bit.png": saved(rgb.convert("1"), "PNG"),
        "palette_transparent.png": saved(palette, "PNG", transparency=0),
        "rotated.jpg": exif_rotated(6),
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "header_only.png": saved(rgb, "PNG")[:33],
        "bomb.png": bomb(),
        "animated.webp": saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "animated.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "text.txt": b"This is not a picture, whatever its name says.\n",
        "empty.jpg": b"",
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in pictures().items():
        (FOLDER / name).write_bytes(data)
