"""`python -m benchmarks.copies FOLDER`: how many different photos are taken for copies.

Every two photos of the folder (JPEG, all different) are compared in all views, as pictures of
different splits are.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.data import Picture, alike
from training.data.look import TINY, Looks


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, and name each pair that is taken for copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    looks = [Looks(None).of(path) for path in paths]
    pictures = [
        Picture(path=path, split=str(path), label="", sha256=look.sha256, kind=look.kind,
                width_px=look.width_px, height_px=look.height_px)
        for path, look in zip(paths, looks, strict=True)
    ]  # fmt: skip
    grey = np.frombuffer(b"".join(look.tiny for look in looks), np.uint8)
    alike.MOST_CLOSER = len(pictures) ** 2  # go into every proposal
    started = time.process_time()
    pairs = alike.alike(pictures, grey.reshape(-1, TINY, TINY))
    for pair in pairs:
        first, second = pictures[pair.first].path.name, pictures[pair.second].path.name
        sys.stdout.write(f"{pair.likeness:.3f} {first} {second}\n")
    count = len(pictures) * (len(pictures) - 1) // 2
    seconds = time.process_time() - started
    sys.stdout.write(f"{len(pairs)} of {count:,} pairs, {seconds:.1f} CPU seconds\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
