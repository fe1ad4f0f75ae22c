"""Keeps tensors on disk by what they were made of, safely with several processes at once.

A file is written beside its place and moved there, and carries the hash of its numbers: one that
is torn or damaged is as good as none. Files lie in one folder for all that was made in one way
(`kind`); when all folders together are too large, those not used for longest go.
"""

import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, uint8

from training.runlog import RunLog

MOST_BYTES = 20 * 2**30
"""Of all files; less where the disk is small."""

SHARE_OF_DISK = 0.5
"""Most of what is free and what the files take already."""

STALE_SECONDS = 3600.0
"""A file being written is given up after this long."""

_NUMBERS = itertools.count()


def sha256_of(facts: Iterable[str]) -> str:
    """A name for what a tensor was made of."""
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


class FeatureCache:
    """Tensors of one kind."""

    def __init__(self, folder: Path, kind: str, log: RunLog) -> None:
        """Look into one folder of a cache.

        Args:
            folder: of all kinds.
            kind: names everything that all its tensors have in common, as `sha256_of` does.
            log: is told, once, when nothing can be kept.
        """
        self.root, self.folder, self.log = folder, folder / kind[:32], log
        self.kind, self.writable = kind, True
        with suppress(OSError):
            os.utime(self.folder)  # it is in use

    def get(self, key: str) -> Tensor | None:
        """The tensor of a key; nothing if there is none, or its file is damaged."""
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                facts, tensor = file.metadata() or {}, file.get_tensor("features")
        except (OSError, SafetensorError, KeyError):
            return None
        whole = facts.get("sha256") == _sha256(tensor) and facts.get("kind") == self.kind
        return tensor if whole else None

    def put(self, key: str, tensor: Tensor) -> None:
        """Keep a tensor; where that cannot be, say so once and go on."""
        path = self._path(key)
        part = path.with_name(f".{os.getpid()}-{next(_NUMBERS)}.part")
        facts = {"sha256": _sha256(tensor), "kind": self.kind}
        try:
            try:
                self._write(part, tensor, facts)
            except FileNotFoundError:  # another process has just made room
                self._write(part, tensor, facts)
            part.replace(path)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                part.unlink()
            if self.writable:
                self.writable = False
                self.log.warn(
                    f"features cannot be kept in {self.folder} ({error}); the next run computes "
                    "them anew. Make room, or name another folder with --cache-dir."
                )

    def _write(self, part: Path, tensor: Tensor, facts: dict[str, str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        save_file({"features": tensor.contiguous()}, part, metadata=facts)

    def trim(self) -> None:
        """Remove what was not used for longest until the rest is small enough."""
        with suppress(OSError):  # what another process removes at the same time is gone anyway
            now = time.time()
            for part in self.root.glob("*/.*.part"):
                if now - part.stat().st_mtime > STALE_SECONDS:
                    part.unlink(missing_ok=True)
            folders = [f for f in self.root.iterdir() if f.is_dir() and f != self.folder]
            sizes = {folder: _size(folder) for folder in [*folders, self.folder]}
            used = sum(sizes.values())
            most = min(MOST_BYTES, SHARE_OF_DISK * (shutil.disk_usage(self.root).free + used))
            for folder in sorted(folders, key=lambda f: f.stat().st_mtime):
                if used <= most:
                    break
                shutil.rmtree(folder, ignore_errors=True)
                used -= sizes[folder]

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"


def _sha256(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().view(-1).view(uint8).numpy().data).hexdigest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
