"""Small copies of pictures, inside the page."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from contract.messages import RequestError
from contract.preprocessing import decode
from training.report.scores import Shown

LONGER_PX = 160
QUALITY = 78


@dataclass(frozen=True, kw_only=True, slots=True)
class Thumbnail:
    """A picture with its answer."""

    picture: Shown
    uri: str
    """`data:` with a JPEG; empty where the file is gone."""
    fault: str
    """Why there is none."""


def thumbnail(root: Path, picture: Shown) -> Thumbnail:
    """Shrink a picture, or say why it cannot be shown."""
    path = root / picture.file
    try:
        image = decode(path.read_bytes(), LONGER_PX // 2)
    except OSError:
        return Thumbnail(picture=picture, uri="", fault=f"not in {root} any more")
    except RequestError:
        return Thumbnail(picture=picture, uri="", fault="cannot be read any more")
    image.thumbnail((LONGER_PX, LONGER_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    text = base64.b64encode(file.getvalue()).decode()
    return Thumbnail(picture=picture, uri=f"data:image/jpeg;base64,{text}", fault="")
