"""Synthetic photographs: stripes whose angle, width and colour belong to their class."""

from pathlib import Path

import numpy as np
from PIL import Image

LONGER_PX, SHORTER_PX = 640, 500
"""Their mean is 570."""


def draw_folder(folder: Path, pictures: int, classes: int) -> Path:
    """Draw train/ with so many pictures and valid/ with a quarter as many, unless they are there.

    Returns:
        The folder of just these counts.
    """
    home = folder / f"{pictures}-{classes}"
    for split, count in (("train", pictures), ("valid", max(pictures // 4, classes))):
        for number in range(count):
            label = number % classes
            path = home / split / f"class{label:03d}" / f"{number:05d}.jpg"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                draw(path, label, classes, seed=number + (0 if split == "train" else 1_000_000))
    return home


def draw(path: Path, label: int, classes: int, seed: int) -> None:
    """Draw one picture and save it as JPEG."""
    of_class, rng = np.random.default_rng(label), np.random.default_rng([seed, label])
    width, height = (LONGER_PX, SHORTER_PX) if rng.random() < 0.7 else (SHORTER_PX, LONGER_PX)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = np.pi * label / classes + rng.normal(0, 0.15)
    period_px = of_class.uniform(12, 60) * rng.uniform(0.7, 1.4)
    along = x * np.cos(angle) + y * np.sin(angle)
    wave = np.sin(2 * np.pi * along / period_px + rng.uniform(0, 6))[..., None]
    dark, light = of_class.uniform(40, 140, 3), of_class.uniform(110, 220, 3)
    tint = rng.normal(0, 25, 3)
    pixels = (dark + light) / 2 + tint + wave * (light - dark) / 2
    pixels = pixels + rng.normal(0, 30, (height, width, 1))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)
