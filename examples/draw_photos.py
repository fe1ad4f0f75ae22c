"""Draws a small folder of dog portraits to train on, so that a demo downloads nothing.

    python examples/draw_photos.py --out build/data/demo

Six breeds as `train/valid/test/<label>` with photo-sized JPEG files of many shapes, in varied
places, poses and light. Like every real folder it holds odd things: grey, CMYK and EXIF-rotated
pictures, one picture that is in two splits, and one file that is cut short. The same arguments
draw the same bytes.
"""

import argparse
import io
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]

SPLITS = {"train": 1.0, "valid": 0.3, "test": 0.3}  # share of --per-class
OVERSAMPLING = 2  # drawn so many times larger, then averaged: smooth edges
EXIF_ORIENTATION = 0x0112
INK: Colour = (32, 26, 26)
CIRCLE = [(math.cos(math.pi * k / 12), math.sin(math.pi * k / 12)) for k in range(24)]


@dataclass(frozen=True, kw_only=True)
class Breed:
    """What tells one kind of dog from another."""

    name: str
    fur: Colour
    pale: Colour
    """Muzzle and chest."""
    ear: Colour
    ears: Literal["hanging", "pointed", "folded"]
    coat: Literal["smooth", "long", "curly"]
    marks: Literal["none", "spots", "mask", "blaze"] = "none"
    iris: Colour = (92, 58, 30)
    face_width: float = 1.0


BREEDS = (
    Breed(name="Dalmatian", fur=(240, 238, 232), pale=(250, 249, 245), ear=(38, 36, 38),
          ears="hanging", coat="smooth", marks="spots"),
    Breed(name="Golden_retriever", fur=(226, 164, 62), pale=(244, 204, 122), ear=(196, 128, 40),
          ears="hanging", coat="long"),
    Breed(name="Irish_setter", fur=(146, 56, 24), pale=(168, 74, 34), ear=(112, 38, 16),
          ears="hanging", coat="long", face_width=0.86),
    Breed(name="Poodle", fur=(48, 45, 54), pale=(64, 60, 70), ear=(36, 34, 42),
          ears="hanging", coat="curly", iris=(60, 40, 28)),
    Breed(name="Pug", fur=(214, 190, 156), pale=(52, 44, 42), ear=(44, 38, 38),
          ears="folded", coat="smooth", marks="mask", face_width=1.14),
    Breed(name="Siberian_husky", fur=(104, 114, 130), pale=(244, 246, 248), ear=(78, 86, 102),
          ears="pointed", coat="long", marks="blaze", iris=(92, 170, 226)),
)  # fmt: skip

# Sky or wall above, ground below.
PLACES: tuple[tuple[Colour, Colour], ...] = (
    ((150, 200, 236), (112, 166, 82)),  # meadow
    ((186, 216, 232), (222, 202, 158)),  # beach
    ((206, 216, 226), (234, 238, 242)),  # snow
    ((202, 186, 204), (150, 108, 78)),  # room with a wooden floor
    ((134, 168, 122), (94, 126, 70)),  # wood
    ((240, 190, 150), (136, 150, 100)),  # evening
)


class Pen:
    """Draws in the dog's own coordinates: 0, 0 is between the eyes, 1 is half its head."""

    def __init__(
        self,
        picture: Image.Image,
        centre: Point,
        scale: float,
        turn: float,
        rng: np.random.Generator,
    ) -> None:
        self.draw = ImageDraw.Draw(picture)
        self.centre = centre
        self.scale = scale
        self.sin, self.cos = math.sin(turn), math.cos(turn)
        self.rng = rng

    def place(self, x: float, y: float) -> Point:
        """Where a point lies in the picture."""
        return (
            self.centre[0] + self.scale * (x * self.cos - y * self.sin),
            self.centre[1] + self.scale * (x * self.sin + y * self.cos),
        )

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled oval about a point."""
        self.draw.polygon([self.place(x + rx * u, y + ry * v) for u, v in CIRCLE], fill=colour)

    def shape(self, corners: Sequence[Point], colour: Colour) -> None:
        """A filled shape with a soft outline through the corners (a closed Catmull-Rom curve)."""
        points = []
        for k in range(len(corners)):
            a, b, c, d = (corners[(k + j) % len(corners)] for j in (-1, 0, 1, 2))
            for t in (0.0, 0.17, 0.33, 0.5, 0.67, 0.83):
                points.append(self.place(*(_curve(a[i], b[i], c[i], d[i], t) for i in (0, 1))))
        self.draw.polygon(points, fill=colour)

    def line(self, start: Point, end: Point, width: float, colour: Colour) -> None:
        """A straight stroke."""
        ends = [self.place(*start), self.place(*end)]
        self.draw.line(ends, fill=colour, width=max(1, round(width * self.scale)))

    def fur(self, x: float, y: float, rx: float, ry: float, colour: Colour, breed: Breed) -> None:
        """The coat over an oval: short hairs, long hairs or curls."""
        count, length = {"smooth": (70, 0.09), "long": (150, 0.26), "curly": (95, 0.0)}[breed.coat]
        for u, v, shade, lean in self.rng.random((count, 4)):
            angle, radius = 2 * math.pi * u, math.sqrt(v)
            px, py = x + rx * radius * math.cos(angle), y + ry * radius * math.sin(angle)
            tint = shaded(colour, 0.78 + 0.42 * shade)
            if breed.coat == "curly":
                size = 0.10 + 0.07 * lean
                self.oval(px, py, size, size, tint)
                self.oval(px - 0.02, py - 0.02, 0.6 * size, 0.6 * size, shaded(tint, 1.22))
            else:
                tip = (px + 0.5 * length * (px - x) / rx, py + length * (0.6 + 0.4 * lean))
                self.line((px, py), tip, 0.022, tint)


def _curve(a: float, b: float, c: float, d: float, t: float) -> float:
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def shaded(colour: Colour, factor: float) -> Colour:
    """A lighter (above 1) or darker colour."""
    red, green, blue = (min(255, round(part * factor)) for part in colour)
    return red, green, blue


def draw_place(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A blurred background: two areas and some soft discs of light."""
    above, below = PLACES[rng.integers(len(PLACES))]
    width, height = size
    small = Image.new("RGB", (width // 8, height // 8), shaded(above, rng.uniform(0.85, 1.1)))
    draw = ImageDraw.Draw(small)
    horizon = round(small.height * rng.uniform(0.45, 0.75))
    tint = shaded(below, rng.uniform(0.8, 1.15))
    hills = [
        (x, horizon + 4 * math.sin(x / 9 + 6 * rng.random())) for x in range(0, width // 8 + 9, 9)
    ]
    draw.polygon([*hills, (small.width + 9, small.height), (0, small.height)], fill=tint)
    for x, y, radius, light in rng.random((14, 4)):
        cx, cy, r = x * small.width, y * small.height, 2 + 7 * radius
        ground = tint if cy > horizon else above
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=shaded(ground, 0.85 + 0.35 * light))
    return small.filter(ImageFilter.GaussianBlur(1)).resize(size, Image.Resampling.BILINEAR)


def draw_ears(pen: Pen, breed: Breed) -> None:
    """Both ears, in the breed's shape."""
    w = breed.face_width
    for side in (-1, 1):
        if breed.ears == "pointed":
            pen.shape(
                [(side * 0.3 * w, -0.75), (side * 0.74, -1.5), (side * 0.98, -0.3)], breed.ear
            )
            pen.shape([(side * 0.5, -0.75), (side * 0.72, -1.2), (side * 0.82, -0.45)], breed.pale)
        elif breed.ears == "folded":
            corners = [
                (side * 0.6, -0.85),
                (side * 1.12, -0.72),
                (side * 1.2, -0.1),
                (side * 0.86, -0.35),
            ]
            pen.shape(corners, breed.ear)
        else:
            x = side * 0.88 * w
            corners = [(x - side * 0.3, -0.75), (x + side * 0.2, -0.6), (x + side * 0.36, 0.5),
                       (x + side * 0.12, 0.95), (x - side * 0.1, 0.4)]  # fmt: skip
            pen.shape(corners, breed.ear)
            pen.fur(x + side * 0.1, 0.2, 0.22, 0.6, breed.ear, breed)


def draw_marks(pen: Pen, breed: Breed) -> None:
    """What is painted on the face."""
    w = breed.face_width
    if breed.marks == "spots":
        for x, y, size in pen.rng.uniform((-0.8, -0.85, 0.06), (0.8, 2.1, 0.16), (34, 3)):
            pen.oval(x, y, size, 0.85 * size, (42, 40, 44))
    elif breed.marks == "mask":
        pen.shape(
            [(-0.62 * w, -0.2), (0, 0.1), (0.62 * w, -0.2), (0.5, 0.8), (-0.5, 0.8)], breed.pale
        )
        for y in (-0.62, -0.48):
            pen.line((-0.25, y), (0.25, y), 0.035, shaded(breed.fur, 0.7))
    elif breed.marks == "blaze":
        for side in (-1, 1):
            corners = [(side * 0.08, -0.1), (side * 0.3, -0.6), (side * 0.62, -0.1)]
            pen.shape([*corners, (side * 0.7, 0.6), (side * 0.2, 0.8)], breed.pale)
        pen.shape([(-0.07, -0.9), (0.07, -0.9), (0.12, 0.3), (-0.12, 0.3)], breed.pale)


def draw_face(pen: Pen, breed: Breed) -> None:
    """Eyes, muzzle, nose and tongue."""
    pen.oval(0, 0.52, 0.46 * breed.face_width, 0.4, breed.pale)
    if breed.coat == "curly":
        pen.fur(0, -0.85, 0.62, 0.35, breed.fur, breed)
    for side in (-1, 1):
        pen.oval(side * 0.37, -0.1, 0.16, 0.15, (246, 244, 238))
        pen.oval(side * 0.37, -0.09, 0.13, 0.14, breed.iris)
        pen.oval(side * 0.37, -0.09, 0.07, 0.08, (16, 12, 12))
        pen.oval(side * 0.37 - 0.04, -0.14, 0.03, 0.03, (255, 255, 255))
    if pen.rng.random() < 0.5:
        pen.shape(
            [(-0.13, 0.72), (0.13, 0.72), (0.12, 1.05), (0, 1.12), (-0.12, 1.05)], (226, 112, 122)
        )
    pen.shape([(-0.34, 0.6), (0, 0.68), (0.34, 0.6), (0, 0.78)], INK)
    pen.line((0, 0.42), (0, 0.7), 0.035, INK)
    pen.shape([(-0.2, 0.26), (0, 0.2), (0.2, 0.26), (0.1, 0.44), (-0.1, 0.44)], INK)
    pen.oval(-0.06, 0.28, 0.045, 0.025, (120, 112, 112))


def draw_dog(picture: Image.Image, breed: Breed, rng: np.random.Generator) -> None:
    """One portrait: chest, collar, ears, head."""
    width, height = picture.size
    scale = min(width, height) * rng.uniform(0.27, 0.36)
    centre = (width * rng.uniform(0.44, 0.56), height * rng.uniform(0.40, 0.5))
    pen = Pen(picture, centre, scale, rng.uniform(-0.22, 0.22), rng)
    w = breed.face_width
    chest = [(-0.6 * w, 0.4), (0.6 * w, 0.4), (1.05, 1.7), (1.2, 3.4), (-1.2, 3.4), (-1.05, 1.7)]
    pen.shape(chest, shaded(breed.fur, 0.88))
    pen.fur(0, 1.9, 0.9, 0.9, shaded(breed.fur, 0.9), breed)
    if breed.marks == "blaze":
        pen.shape([(-0.5, 0.8), (0.5, 0.8), (0.6, 2.0), (0, 3.2), (-0.6, 2.0)], breed.pale)
    collar = [(200, 48, 52), (44, 96, 188), (40, 150, 110), (120, 70, 160)][rng.integers(4)]
    pen.shape(
        [
            (-0.7 * w, 0.95),
            (0, 1.2),
            (0.7 * w, 0.95),
            (0.72 * w, 1.15),
            (0, 1.42),
            (-0.72 * w, 1.15),
        ],
        collar,
    )
    pen.oval(0, 1.45, 0.11, 0.12, (236, 196, 80))
    if breed.ears != "hanging":
        draw_ears(pen, breed)
    head = [(0, -1.0), (0.62 * w, -0.82), (0.9 * w, -0.1), (0.66 * w, 0.65), (0, 1.0),
            (-0.66 * w, 0.65), (-0.9 * w, -0.1), (-0.62 * w, -0.82)]  # fmt: skip
    pen.shape(head, breed.fur)
    pen.fur(0, -0.1, 0.74 * w, 0.8, breed.fur, breed)
    draw_marks(pen, breed)
    if breed.ears == "hanging":
        draw_ears(pen, breed)
    draw_face(pen, breed)


def draw_photo(breed: Breed, rng: np.random.Generator) -> Image.Image:
    """One photo of a dog: RGB, longer side 420 to 560 pixels."""
    longer, aspect = int(rng.integers(420, 561)), rng.uniform(0.68, 1.0)
    size = (longer, round(longer * aspect))
    width, height = size if rng.random() < 0.6 else size[::-1]
    large = draw_place((width * OVERSAMPLING, height * OVERSAMPLING), rng)
    draw_dog(large, breed, rng)
    pixels = np.asarray(large.reduce(OVERSAMPLING)).astype(np.float32)
    slope = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * rng.uniform(-0.15, 0.15)
    warmth = 1 + np.float32(rng.uniform(-0.06, 0.06)) * np.array([1, 0, -1], np.float32)
    light = np.float32(rng.uniform(0.82, 1.12))
    pixels *= (1 + slope.astype(np.float32)) * warmth * light
    grain = rng.integers(-9, 10, (height, width), dtype=np.int8)
    pixels += grain[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def encode(photo: Image.Image, kind: Literal["plain", "grey", "cmyk", "rotated"]) -> bytes:
    """A JPEG file; `rotated` lies on its side and says so in its EXIF."""
    exif = Image.Exif()
    if kind == "grey":
        photo = photo.convert("L")
    elif kind == "cmyk":
        photo = photo.convert("CMYK")
    elif kind == "rotated":
        photo = photo.transpose(Image.Transpose.ROTATE_90)
        exif[EXIF_ORIENTATION] = 6
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=86, exif=exif)
    return file.getvalue()


def kind_of(index: int, breed_index: int) -> Literal["plain", "grey", "cmyk", "rotated"]:
    """Which pictures are odd."""
    if index == 4 and breed_index < 2:
        return "grey"
    return {7: "cmyk", 2: "rotated"}.get(index % 16, "plain")  # type: ignore[return-value]


def draw_folder(folder: Path, seed: int, per_class: int) -> int:
    """Draw everything.

    Returns:
        How many files there are.
    """
    for split_index, (split, share) in enumerate(SPLITS.items()):
        for breed_index, breed in enumerate(BREEDS):
            label = folder / split / f"{breed_index + 1:03}.{breed.name}"
            label.mkdir(parents=True)
            for index in range(max(1, round(share * per_class))):
                rng = np.random.default_rng([seed, split_index, breed_index, index])
                data = encode(draw_photo(breed, rng), kind_of(index, breed_index))
                (label / f"{breed.name}_{index + 1:05}.jpg").write_bytes(data)
    train, test = (folder / split / f"001.{BREEDS[0].name}" for split in ("train", "test"))
    twin = (test / f"{BREEDS[0].name}_00001.jpg").read_bytes()
    (train / f"{BREEDS[0].name}_copy.jpg").write_bytes(twin)
    (train / f"{BREEDS[0].name}_broken.jpg").write_bytes(twin[: len(twin) // 2])
    return sum(1 for path in folder.rglob("*.jpg") if path.is_file())


def main(argv: Sequence[str] | None = None) -> int:
    """Draw a folder; never touches one that exists."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument("--seed", type=int, default=7, help="another number, other pictures")
    parser.add_argument("--per-class", type=int, default=40, help="training pictures of a breed")
    options = parser.parse_args(argv)
    if options.per_class < 5:
        parser.error(f"--per-class is {options.per_class}; it must be at least 5.")
    if options.out.exists():
        parser.error(f"{options.out} exists; remove it or choose another folder.")
    partial = options.out.with_name(f"{options.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    count = draw_folder(partial, options.seed, options.per_class)
    partial.rename(options.out)
    sys.stdout.write(f"Drew {count} pictures of {len(BREEDS)} breeds in {options.out}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
