"""A picture's bytes to the network's input: the same bits in training and in serving.

B = pictures in a batch, C = 3 channels (RGB), H x W = any size in pixels, S = side of the
network's input in pixels.

Decoding is Pillow's, restricted to three formats, with limits of our own that are checked on
the header before any pixel is decoded.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from contract.messages import MAX_PICTURE_PIXELS, RequestError
from contract.model_card import InputSpec

FORMATS = ("JPEG", "PNG", "WEBP")
_UNREADABLE = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def decode(data: bytes, shorter_px: int) -> Image.Image:
    """Decode one picture, upright and in colour.

    A JPEG is decoded at the smallest scale (1/1, 1/2, 1/4, 1/8) that leaves its shorter side
    at least twice ``shorter_px``, so that the resize after it still averages.

    Args:
        data: a JPEG, PNG or WEBP file.
        shorter_px: what the shorter side will be resized to.

    Returns:
        An RGB picture of H x W pixels, EXIF rotation applied, transparency over white.

    Raises:
        RequestError: 400 empty or damaged; 413 too many pixels; 415 not such a picture.
    """
    if not data:
        raise RequestError("bad_request", "The picture is empty: send a JPEG, PNG or WEBP.")
    with _readable():
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise RequestError(
                "unsupported_media_type",
                f"The {len(data)} bytes are not a JPEG, PNG or WEBP picture.",
            ) from None
        width, height = image.size
        if width * height > MAX_PICTURE_PIXELS:
            raise RequestError(
                "too_large",
                f"The picture has {width} x {height} pixels; at most {MAX_PICTURE_PIXELS:,} "
                "are accepted. Make it smaller first.",
            )
        image.draft(None, (2 * shorter_px, 2 * shorter_px))
        image.load()
        return _rgb(ImageOps.exif_transpose(image))


def eval_pixels(image: Image.Image, spec: InputSpec) -> Pixels:
    """Scale the shorter side and cut out the centre square, in one resampling pass.

    Args:
        image: RGB, H x W.
        spec: what the network expects.

    Returns:
        uint8 of shape (S, S, C), RGB.
    """
    width, height = image.size
    side = min(width, height) * spec.size_px / spec.resize_px
    left, top = (width - side) / 2, (height - side) / 2
    square = image.resize(
        (spec.size_px, spec.size_px),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
    )
    return np.asarray(square)


def normalise(pixels_SSC: Pixels, spec: InputSpec) -> Floats:
    """Scale to the network's range.

    Args:
        pixels_SSC: uint8 of shape (..., S, S, C), 0..255, RGB.
        spec: what the network expects.

    Returns:
        float32 of shape (..., C, S, S), about zero mean and unit variance.
    """
    mean = np.asarray(spec.mean, np.float32) * np.float32(255)
    scale = np.float32(1) / (np.asarray(spec.std, np.float32) * np.float32(255))
    scaled = (pixels_SSC.astype(np.float32) - mean) * scale
    return np.ascontiguousarray(np.moveaxis(scaled, -1, -3))


def eval_view(data: bytes, spec: InputSpec) -> Floats:
    """From a file's bytes to the network's input.

    Returns:
        float32 of shape (C, S, S).

    Raises:
        RequestError: see `decode`.
    """
    return normalise(eval_pixels(decode(data, spec.resize_px), spec), spec)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except RequestError:
        raise
    except _UNREADABLE as error:
        raise RequestError(
            "bad_request",
            f"The picture is damaged or cut short ({error}). Send the whole file again.",
        ) from None


def _rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB; transparency is laid over white, 16 bits are scaled to 8."""
    if image.mode.startswith("I") or image.mode == "F":
        grey_HW = np.asarray(image).astype(np.float64)
        grey_HW = grey_HW / 257 if grey_HW.max(initial=0) > 255 else grey_HW
        image = Image.fromarray(np.clip(np.rint(grey_HW), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")
