"""Random changes of a picture, drawn from a generator of its own.

C = 3 channels (RGB), H x W = size of the picture that is changed, S = side of the result, in
pixels.
"""

import importlib
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from contract.network import torchvision
from contract.preprocessing import Pixels

# torchvision itself was imported, and where needed repaired, by contract.network.
functional = importlib.import_module(f"{torchvision.__name__}.transforms.v2.functional")
torch = importlib.import_module("torch")

SMALLEST_CROP = 0.5
"""Of the picture's shorter side."""

MAGNITUDES = 31
"""Strengths of each change, from none to the strongest."""

Change = Callable[[Image.Image, float], Image.Image]


def resized(pixels_HWC: Pixels, height_px: int, width_px: int) -> Pixels:
    """The whole picture at another size, averaged where it gets smaller: uint8 (H, W, C)."""
    image_CHW = torch.from_numpy(pixels_HWC).permute(2, 0, 1)
    small_CHW = functional.resize(image_CHW, [height_px, width_px], antialias=True)
    return np.ascontiguousarray(small_CHW.permute(1, 2, 0).numpy())


def random_square(pixels_HWC: Pixels, size_px: int, rng: np.random.Generator) -> Pixels:
    """A random square of a picture, perhaps mirrored: uint8 (S, S, C).

    Its side is at least half the picture's shorter one, so that it mostly holds the object.
    """
    height, width = pixels_HWC.shape[:2]
    side = max(1, round(min(height, width) * rng.uniform(SMALLEST_CROP, 1.0)))
    top, left = (int(rng.integers(0, length - side + 1)) for length in (height, width))
    # Rows of their own first: torch is several times slower on a part of a larger picture.
    part_HWC = np.ascontiguousarray(pixels_HWC[top : top + side, left : left + side])
    square_SSC = resized(part_HWC, size_px, size_px)
    if rng.random() < 0.5:
        square_SSC = functional.horizontal_flip(torch.from_numpy(square_SSC).permute(2, 0, 1))
        square_SSC = np.ascontiguousarray(square_SSC.permute(1, 2, 0).numpy())
    return square_SSC


def trivial(pixels_SSC: Pixels, rng: np.random.Generator) -> Pixels:
    """One change of random kind and strength: TrivialAugment, wide space.

    Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation",
    ICCV 2021, table 1; the kernels are torchvision's, on Pillow pictures, where they are fastest.
    """
    kind = CHANGES[int(rng.integers(len(CHANGES)))]
    step, negative = int(rng.integers(MAGNITUDES)), bool(rng.random() < 0.5)
    return changed(pixels_SSC, kind, step, negative=negative)


def changed(pixels_SSC: Pixels, kind: str, step: int, *, negative: bool) -> Pixels:
    """One change of `CHANGES`, of strength 0 to 30, and of the other sign where it has one."""
    image = _apply(Image.fromarray(pixels_SSC), kind, step, -1.0 if negative else 1.0)
    return np.asarray(image)


CHANGES = (
    "identity", "shear x", "shear y", "translate x", "translate y", "rotate", "brightness",
    "colour", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize",
)  # fmt: skip


def _apply(image: Image.Image, kind: str, step: int, sign: float) -> Image.Image:
    def strength(strongest: float) -> float:
        return sign * float(torch.linspace(0.0, strongest, MAGNITUDES)[step])

    slant, factor = math.degrees(math.atan(strength(0.99))), 1 + strength(0.99)
    shift, threshold = int(strength(32.0)), 255 * float(torch.linspace(1, 0, MAGNITUDES)[step])
    changes: dict[str, Callable[[], Image.Image]] = {
        "identity": lambda: image,
        "shear x": lambda: _moved(image, shear=[slant, 0.0], center=[0, 0]),
        "shear y": lambda: _moved(image, shear=[0.0, slant], center=[0, 0]),
        "translate x": lambda: _moved(image, translate=[shift, 0]),
        "translate y": lambda: _moved(image, translate=[0, shift]),
        "rotate": lambda: functional.rotate(image, strength(135.0)),
        "brightness": lambda: functional.adjust_brightness(image, factor),
        "colour": lambda: functional.adjust_saturation(image, factor),
        "contrast": lambda: functional.adjust_contrast(image, factor),
        "sharpness": lambda: functional.adjust_sharpness(image, factor),
        "posterize": lambda: functional.posterize(image, 8 - round(step * 6 / (MAGNITUDES - 1))),
        "solarize": lambda: functional.solarize(image, threshold),
        "autocontrast": lambda: functional.autocontrast(image),
        "equalize": lambda: functional.equalize(image),
    }
    return changes[kind]()


def _moved(image: Image.Image, **how: list[float] | list[int]) -> Image.Image:
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    moved: Image.Image = functional.affine(image, **{**still, **how})
    return moved
