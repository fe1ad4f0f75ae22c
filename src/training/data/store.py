"""Pictures in the form that views are cut from, kept on disk when they are read many times.

A view is always cut from this form, whether it is kept or made anew each time: keeping it saves
time and never changes a bit (docs/decisions/0125).

C = 3 channels (RGB), H x W = size of the kept picture, S = side of the network's input, in pixels.
"""

import hashlib
import os
import platform
import shutil
import struct
import tempfile
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import features

from contract.messages import RequestError
from contract.model_card import InputSpec
from contract.network import torchvision
from contract.preprocessing import Pixels, decode, eval_pixels
from contract.strict import ContractError
from training.data.augment import random_square, resized, trivial
from training.data.pictures import Picture
from training.runlog import RunLog

MARGIN = 300 / 256
"""Shorter side of a kept picture over serving's `resize_px`: random squares stay sharp, and a JPEG
of 800 x 600 or 1600 x 1200 pixels is decoded at a half or a quarter."""
KEPT_FROM = 2000
"""Readings saved from which keeping pays: a second or more of decoding."""
SPARE_BYTES = 1 << 30
"""What is left free on the disk."""
HEADER = struct.Struct("<4sIII")
MAGIC = b"KNL1"


class Store:
    """Makes and keeps pictures; safe for several threads and processes."""

    def __init__(self, spec: InputSpec, folder: Path | None, warn: Callable[[str], None]) -> None:
        """Open it.

        Args:
            spec: of the network's input.
            folder: where pictures are kept; nowhere if there is none.
            warn: is told when they can no longer be kept.
        """
        self.spec, self.warn = spec, warn
        self.shorter_px = round(MARGIN * spec.resize_px)
        self.folder = folder and folder / maker()
        self.checked: set[Path] = set()
        self.lock = threading.Lock()

    def plain(self, picture: Picture) -> Pixels:
        """What serving would show the network: uint8 (S, S, C), the same bits."""
        form = f"plain-{self.spec.resize_px}-{self.spec.size_px}"
        make = partial(eval_pixels, spec=self.spec)
        return self._picture(picture, form, self.spec.resize_px, make)

    def roomy(self, picture: Picture) -> Pixels:
        """The whole picture, its shorter side `shorter_px` or less: uint8 (H, W, C)."""
        return self._picture(
            picture, f"roomy-{self.shorter_px}", -(-self.shorter_px // 2), self._shrunk
        )

    def random(self, picture: Picture, augmentation: str, rng: np.random.Generator) -> Pixels:
        """A view for training: uint8 (S, S, C).

        Args:
            picture: which.
            augmentation: as in `Hyperparameters`.
            rng: of this view alone.
        """
        if augmentation == "none":
            return self.plain(picture)
        square_SSC = random_square(self.roomy(picture), self.spec.size_px, rng)
        return trivial(square_SSC, rng) if augmentation == "trivial" else square_SSC

    def has(self, picture: Picture) -> bool:
        """Whether the picture is kept already."""
        file = self._file(f"roomy-{self.shorter_px}", picture)
        return file is not None and file.exists()

    def kept_bytes(self, picture: Picture) -> int:
        """What one picture takes on disk, at most."""
        shorter = min(picture.width_px, picture.height_px)
        scale = min(1.0, self.shorter_px / shorter)
        roomy = round(picture.width_px * scale) * round(picture.height_px * scale)
        return HEADER.size + 3 * max(roomy, self.spec.size_px**2)

    def _shrunk(self, image: PIL.Image.Image) -> Pixels:
        pixels_HWC = np.array(image)
        height, width = pixels_HWC.shape[:2]
        if min(height, width) <= self.shorter_px:
            return pixels_HWC
        scale = self.shorter_px / min(height, width)
        return resized(pixels_HWC, max(1, round(height * scale)), max(1, round(width * scale)))

    def _picture(
        self,
        picture: Picture,
        form: str,
        decode_px: int,
        make: Callable[[PIL.Image.Image], Pixels],
    ) -> Pixels:
        file = self._file(form, picture)
        if file is not None:
            kept = self._read(file)
            if kept is not None:
                return kept
        pixels_HWC = np.ascontiguousarray(
            make(self._decoded(picture, decode_px, checked=file is not None))
        )
        if file is not None:
            self._write(file, pixels_HWC)
        return pixels_HWC

    def _file(self, form: str, picture: Picture) -> Path | None:
        name = picture.sha256
        return self.folder and self.folder / form / name[:2] / f"{name}.pixels"

    def _decoded(self, picture: Picture, shorter_px: int, *, checked: bool) -> PIL.Image.Image:
        """Read the file; what is kept under its content's name must be that content."""
        try:
            data = picture.path.read_bytes()
            if not checked or hashlib.sha256(data).hexdigest() == picture.sha256:
                return decode(data, shorter_px)
        except (RequestError, OSError) as error:
            raise ContractError(
                f"{picture.path} could be read when the run began and cannot now: {error}"
            ) from None
        raise ContractError(
            f"{picture.path} has changed since the run began; start again, and leave the pictures "
            "alone meanwhile."
        )

    def _read(self, file: Path) -> Pixels | None:
        """A kept picture, unless it is missing or torn; its checksum is looked at once a run."""
        try:
            data = np.fromfile(file, np.uint8)
        except OSError:
            return None
        if len(data) < HEADER.size:
            return None
        magic, height, width, checksum = HEADER.unpack(data[: HEADER.size].tobytes())
        pixels = data[HEADER.size :]
        if magic != MAGIC or len(pixels) != 3 * height * width:
            return None
        if file not in self.checked:
            if zlib.crc32(pixels.data) != checksum:
                return None
            self.checked.add(file)
        return pixels.reshape(height, width, 3)

    def _write(self, file: Path, pixels_HWC: Pixels) -> None:
        """Keep a picture, whole or not at all."""
        height, width = pixels_HWC.shape[:2]
        partial_file = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, partial_file = tempfile.mkstemp(dir=file.parent, suffix=".partial")
            with os.fdopen(handle, "wb") as out:
                out.write(HEADER.pack(MAGIC, height, width, zlib.crc32(pixels_HWC.data)))
                out.write(pixels_HWC.data)
            Path(partial_file).replace(file)
            self.checked.add(file)
        except OSError as error:
            with suppress(OSError, TypeError):
                Path(partial_file).unlink()  # type: ignore[arg-type]  # nothing, where none was made
            with self.lock:
                if self.folder is not None:
                    self.folder = None
                    self.warn(
                        f"pictures can no longer be kept in {file.parents[2]} ({error.strerror}); "
                        "they are read anew in each epoch: slower, with the same result."
                    )


def open_store(
    pictures: Sequence[Picture],
    passes: int,
    spec: InputSpec,
    cache_dir: Path,
    log: RunLog,
    *,
    kept_from: int = KEPT_FROM,
    spare_bytes: int = SPARE_BYTES,
) -> Store:
    """A store that keeps its pictures where that pays: by counted work, never by time.

    Args:
        pictures: that are read.
        passes: how often each is.
        spec: of the network's input.
        cache_dir: pictures are kept in its folder `pictures`.
        log: is told what is done and why.
        kept_from: readings saved from which keeping pays.
        spare_bytes: what is left free on the disk.
    """
    store = Store(spec, cache_dir / "pictures", log.warn)
    saved = len(pictures) * (passes - 1)
    needed = sum(store.kept_bytes(picture) for picture in pictures if not store.has(picture))
    free = _free_bytes(cache_dir)
    if saved < kept_from:
        store.folder, why = None, f"{saved} readings saved are too few to matter"
    elif free < needed + spare_bytes:
        store.folder = None
        why = f"{cache_dir} has {free / 1e9:.1f} GB free and {needed / 1e9:.1f} GB are needed"
    else:
        why = f"{saved} readings are saved with {needed / 1e9:.2f} GB"
    if passes > 1:
        _tell(store, why, passes, log)
    return store


def _tell(store: Store, why: str, passes: int, log: RunLog) -> None:
    kept = store.folder is not None
    log.event(
        "pictures",
        f"resized pictures are {'kept' if kept else 'not kept'} on disk: {why}",
        kept=kept,
        why=why,
        passes=passes,
        shorter_px=store.shorter_px,
    )


def maker() -> str:
    """Names what decodes and resizes here: pictures of another maker may have other bits."""
    libraries = [f"{name} {features.version(name)}" for name in ("jpg", "zlib", "webp")]
    facts = [
        "1", PIL.__version__, *libraries, torch.__version__, torchvision.__version__,
        platform.machine(), torch.backends.cpu.get_cpu_capability(),
    ]  # fmt: skip
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _free_bytes(folder: Path) -> int:
    there = next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())
    return shutil.disk_usage(there).free
