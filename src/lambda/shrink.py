"""Makes large pictures smaller before they are sent; where the settings ask for it.

Only what stays right is touched: plain colours and grey, one frame, within the endpoint's limits.
Everything else goes as it came, for the endpoint to read or to refuse in its words.
"""

import functools
import io
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

FORMATS = ("JPEG", "PNG", "WEBP")
JPEG = "image/jpeg"
MAX_PIXELS = 20_000_000
"""What the endpoint accepts; more is not decoded here either."""
ORIENTATION = 0x0112
QUALITY = 92


def shrunk(picture: bytes, kind: str, shorter_px: int) -> tuple[bytes, str]:
    """Re-encode a picture whose shorter side is longer than `shorter_px`.

    Args:
        picture: a JPEG, PNG or WEBP.
        kind: its content type.
        shorter_px: what the shorter side becomes.

    Returns:
        The picture to send and its content type: those that came, if nothing is gained.
    """
    image_module = _pillow()
    if image_module is None:
        return picture, kind
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            smaller = _reencoded(image_module, picture, shorter_px)
    except Exception:
        # Decoders raise nearly every kind of exception on damaged files, and say so less well
        # than the endpoint does.
        return picture, kind
    return (picture, kind) if len(smaller) >= len(picture) else (smaller, JPEG)


def _reencoded(image_module: Any, picture: bytes, shorter_px: int) -> bytes:
    """The smaller JPEG; the picture itself, where it must stay as it is."""
    image = image_module.open(io.BytesIO(picture), formats=FORMATS)
    width, height = image.size
    shorter = min(width, height)
    plain = image.mode in ("L", "RGB") and not image.has_transparency_data
    if shorter <= shorter_px or width * height > MAX_PIXELS or not plain:
        return picture
    if getattr(image, "n_frames", 1) > 1:
        return picture
    # The decoder scales by itself, to no less than twice of what is wanted.
    image.draft(None, (2 * shorter_px, 2 * shorter_px))
    image.load()
    orientation = image.getexif().get(ORIENTATION)
    size = (round(width * shorter_px / shorter), round(height * shorter_px / shorter))
    image = image.resize(size, image_module.Resampling.BICUBIC)
    exif = image_module.Exif()
    if isinstance(orientation, int):
        exif[ORIENTATION] = orientation  # turned by the endpoint, as the original would be
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, exif=exif)
    return out.getvalue()


@functools.cache
def _pillow() -> Any:
    """Pillow, this machine's own or the one in the archive; None where there is none."""
    folder = f"{sys.implementation.cache_tag}-{os.uname().machine}"
    sys.path.append(str(Path(__file__).parent / "vendor" / folder))
    try:
        from PIL import Image
    except ImportError as error:
        line = {"level": "warning", "event": "not shrinking", "fault": repr(error)[:300]}
        print(json.dumps(line))  # noqa: T201
        return None
    return Image
