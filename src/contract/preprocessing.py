"""A picture's bytes to the network's input: the same bits in training and in serving.

B = pictures in a batch, C = 3 channels (RGB), H x W = any size in pixels, S = side of the
network's input in pixels.

Decoding is Pillow's, restricted to three formats, with limits of our own that are checked on
the header before any pixel is decoded. Whatever the bytes are, one picture takes at most
`MAX_MEMORY_BYTES` of memory at once and `MAX_CPU_SECONDS` of one core; tests hold it to both.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from contract.messages import MAX_PICTURE_PIXELS, RequestError
from contract.model_card import InputSpec
from contract.picture_limits import check_work

MAX_CPU_SECONDS = 5
"""For one picture on one core of 2020 or later. A photo takes a hundredth of it."""
MAX_MEMORY_BYTES = 18 * MAX_PICTURE_PIXELS + 40_000_000
"""For one picture, on top of what the process holds anyway."""

FORMATS = ("JPEG", "PNG", "WEBP")
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_EXIF_ORIENTATION = 0x0112
_STRIP_PIXELS = 1_000_000
"""Conversions that need several copies go over so many pixels at a time."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of each EXIF orientation upright; 1 is upright already."""

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
        RequestError: 400 empty or damaged; 413 too many pixels; 415 animated, or not such a
            picture. Nothing else, whatever the bytes are.
    """
    if not data:
        raise RequestError("bad_request", "The picture is empty: send a JPEG, PNG or WEBP.")
    with _readable():
        check_work(data)
        image: Image.Image = _opened(data)
        image.draft(None, (2 * shorter_px, 2 * shorter_px))
        image.load()
        image = _upright(image)  # under the same name, so that the picture before it can go
        return _rgb(image)


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
    return np.ascontiguousarray(np.moveaxis(scaled(pixels_SSC, spec), -1, -3))


def scaled(pixels_SSC: Pixels, spec: InputSpec, out: Floats | None = None) -> Floats:
    """Scale to the network's range, channels last.

    Args:
        pixels_SSC: uint8 of shape (..., S, S, C), 0..255, RGB.
        spec: what the network expects.
        out: where to write the result, if anywhere in particular.

    Returns:
        float32 of shape (..., S, S, C), about zero mean and unit variance.
    """
    # Whole rows at once: numpy is many times slower on innermost loops of three numbers.
    rows = pixels_SSC.reshape(*pixels_SSC.shape[:-2], 3 * pixels_SSC.shape[-2])
    mean, scale = _mean_and_scale(spec, pixels_SSC.shape[-2])
    result = np.empty(pixels_SSC.shape, np.float32) if out is None else out
    in_rows = result.reshape(rows.shape)
    np.subtract(rows, mean, out=in_rows)
    np.multiply(in_rows, scale, out=in_rows)
    return result


@lru_cache(maxsize=8)
def _mean_and_scale(spec: InputSpec, width: int) -> tuple[Floats, Floats]:
    """What is taken off each number of a row, and what it is multiplied by."""
    mean = np.asarray(spec.mean, np.float32) * np.float32(255)
    scale = np.float32(1) / (np.asarray(spec.std, np.float32) * np.float32(255))
    return np.tile(mean, width), np.tile(scale, width)


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
    """Turn whatever a decoder stumbles over into a RequestError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except RequestError:
        raise
    except MemoryError:
        raise RequestError("unavailable", "There is no memory left for it. Try again.") from None
    except Exception as error:
        # Decoders raise nearly every kind of exception on damaged files, and the bytes are the
        # only thing that varies here: so it is the picture's fault.
        raise RequestError(
            "bad_request",
            f"The picture is damaged or cut short ({str(error)[:120]}). Send the whole file again.",
        ) from None


def _opened(data: bytes) -> Image.Image:
    """Read the header, and refuse by it what must not be decoded."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        if data.startswith(_BEGINNINGS):
            raise RequestError(
                "bad_request", "The picture's header is damaged or cut short. Send it whole."
            ) from None
        raise RequestError(
            "unsupported_media_type",
            f"The {len(data):,} bytes are not a JPEG, PNG or WEBP picture.",
        ) from None
    except Image.DecompressionBombError:
        raise _too_many_pixels("far too many") from None
    width, height = image.size
    if width * height > MAX_PICTURE_PIXELS:
        raise _too_many_pixels(f"{width} x {height}")
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise RequestError(
            "unsupported_media_type",
            f"The {image.format} picture is animated. Send one frame of it.",
        )
    return image


def _too_many_pixels(found: str) -> RequestError:
    return RequestError(
        "too_large",
        f"The picture has {found} pixels; at most {MAX_PICTURE_PIXELS:,} are accepted. "
        "Make it smaller first.",
    )


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; one that cannot be read counts as upright."""
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # a picture with broken EXIF is still a picture
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB; transparency is laid over white, 16 bits are scaled to 8."""
    if image.mode.startswith("I"):
        return _in_strips(image, _rgb_of_16_bits)
    if image.has_transparency_data:
        return _in_strips(image, _over_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert some rows after others, so that the copies in between stay small."""
    width, height = image.size
    if width * height <= _STRIP_PIXELS:
        return convert(image)
    columns, rows = min(width, _STRIP_PIXELS), max(1, _STRIP_PIXELS // width)
    result = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            corner = (min(left + columns, width), min(top + rows, height))
            result.paste(convert(image.crop((left, top, *corner))), (left, top))
    return result


def _over_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def _rgb_of_16_bits(image: Image.Image) -> Image.Image:
    """Grey PNG of 16 bits, which Pillow opens as I;16 or, before release 11, as I."""
    grey_HW = np.asarray(image).astype(np.uint32)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey_HW[grey_HW == transparent] = 65535
    grey_HW = np.minimum((grey_HW + 128) // 257, 255)
    return Image.fromarray(grey_HW.astype(np.uint8)).convert("RGB")
