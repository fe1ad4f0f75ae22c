"""Writes scikit-learn's bundled handwritten digits as a folder of labelled pictures.

    python examples/write_digits.py --out build/data/digits

1,797 pictures of ten classes, 40 x 40 pixels: each digit, 8 x 8 in the original, fills the centre
square that training looks at. The same bytes every time. It needs scikit-learn, which
`make setup` installs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIDE_PX = 32
MARGIN_PX = 4
BRIGHTEST = 16.0
"""Of the original's pixels."""


def write_digits(out: Path) -> int:
    """Write `<out>/<name>/<number>.png`.

    Returns:
        How many pictures there are.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        home = out / NAMES[digit]
        home.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray((pixels * (255.0 / BRIGHTEST)).round().astype(np.uint8))
        whole = Image.new("L", (SIDE_PX + 2 * MARGIN_PX, SIDE_PX + 2 * MARGIN_PX))
        whole.paste(small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), (MARGIN_PX,) * 2)
        whole.save(home / f"{number:04}.png")
    return len(digits.target)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder; one that is there is left as it is."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--out", type=Path, required=True, help="folder to make")
    out = options.parse_args(argv).out
    if out.exists():
        sys.stderr.write(f"{out} is there already; remove it, or name another folder.\n")
        return 2
    sys.stdout.write(f"{write_digits(out)} pictures in {out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
