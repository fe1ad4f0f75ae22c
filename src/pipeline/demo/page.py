"""The demo's summary page: one file that needs nothing else."""

import base64
import io
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from PIL import Image, ImageOps

from contract.messages import Reply
from pipeline.demo.story import Chapter

THUMBNAIL_PX = 240


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the service said of one held-out picture."""

    picture: Path
    label: str
    """The truth."""
    reply: Reply
    milliseconds: float

    @property
    def right(self) -> bool:
        """Whether the first label is the truth."""
        return self.reply.predictions[0].label == self.label

    @property
    def thumbnail(self) -> str:
        """A small JPEG, as base64."""
        with Image.open(self.picture) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        buffer = io.BytesIO()
        ImageOps.fit(upright, (THUMBNAIL_PX, THUMBNAIL_PX)).save(buffer, "JPEG", quality=85)
        return base64.b64encode(buffer.getvalue()).decode()


def write_page(
    path: Path, chapters: Sequence[Chapter], answers: Sequence[Answer], seconds: float
) -> None:
    """Write the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("page.html").render(
        answers=answers,
        chapters=chapters,
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        right=sum(answer.right for answer in answers),
        seconds=seconds,
        slowest=max(chapter.seconds for chapter in chapters),
    )
    path.write_text(text, encoding="utf-8")
