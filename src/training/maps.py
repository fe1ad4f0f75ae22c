"""What frozen stages say of pictures, kept on disk: computed once, read in every epoch.

B = pictures in a batch, N = pictures in all, C = 3 channels (RGB), S = side of the network's
input in pixels.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from contract.model_card import file_sha256
from contract.strict import require
from training import processes
from training.answers import BATCH, one_thread
from training.data import Picture
from training.data.store import Store
from training.data.workers import side_by_side
from training.faster import Speed, faster
from training.features import LIBRARIES, SOURCES, View
from training.identity import machine, weights_sha256
from training.runlog import RunLog

NAMES = {torch.float32: "F32", torch.bfloat16: "BF16"}
"""Kinds of numbers, as safetensors calls them."""
SPARE = 1.05
"""Room that must be free, as a multiple of what is written."""


class Maps:
    """Keeps the maps of one frozen network."""

    def __init__(
        self, lower: nn.Module, speed: Speed, store: Store, cache_dir: Path, log: RunLog
    ) -> None:
        """Nothing is computed yet.

        Args:
            lower: (B, C, S, S) to maps (B, ...), in eval mode; it does not change any more.
            speed: how to run it. Maps of bf16 are kept as bf16, which loses nothing.
            store: reads pictures, for the network's input.
            cache_dir: where maps are kept.
            log: is told the progress.
        """
        self.lower = lower.eval()
        self.run = faster(self.lower, Speed(precision=speed.precision), BATCH)
        self.store = store
        self.folder, self.log = cache_dir / "maps", log
        facts = [weights_sha256(lower), str(astuple(store.spec)), speed.precision, machine()]
        facts += [f"{name} {version(name)}" for name in LIBRARIES]
        facts += [file_sha256(Path(str(module.__file__))) for module in SOURCES]
        self.key = "\n".join(facts)

    def of(
        self,
        pictures: Sequence[Picture],
        view: View,
    ) -> Tensor:
        """The maps of pictures, from disk if they are there.

        Args:
            pictures: which.
            view: of them; each picture's chance is that of its place among them.

        Returns:
            (N, ...), a file mapped into memory.

        Raises:
            ContractError: the disk has no room for them.
        """
        shown = "\n".join([self.key, str(astuple(view)), *(p.sha256 for p in pictures)])
        path = self.folder / f"{hashlib.sha256(shown.encode()).hexdigest()[:32]}.safetensors"
        if processes.any_of(not path.exists()):
            self._make(path, pictures, view)
            processes.any_of(False)  # wait for the one that writes
        with safe_open(path, "pt") as file:
            maps_N: Tensor = file.get_tensor("maps")
        return maps_N

    def _make(self, path: Path, pictures: Sequence[Picture], view: View) -> None:
        """Compute the maps, each process its part of every round, and write them in order."""
        device = next(self.lower.parameters()).device

        def maps_of(batch: Sequence[int]) -> Tensor:
            torch.set_num_threads(1)
            views = [view.pixels(pictures[i], i, self.store) for i in batch]
            images_BCSS = torch.from_numpy(np.stack(views))
            with torch.inference_mode():
                images_BCSS = images_BCSS.to(device, memory_format=torch.channels_last)
                return self.run(images_BCSS).cpu().contiguous()

        count = len(pictures)
        batches = [range(i, min(i + BATCH, count)) for i in range(0, count, BATCH)]
        width = processes.count()
        started = time.monotonic()
        with one_thread() as threads, writing(path, count, maps_of(range(1))) as write:
            made = side_by_side(maps_of, processes.dealt(batches), threads)
            for first in range(0, len(batches), width):
                here = batches[first : first + width]
                own = [next(made)] if processes.number() < len(here) else []
                write(gathered(own, len(here)))
                self.log.progress("maps", here[-1].stop, count, started)


def gathered(parts: list[Tensor], total: int) -> list[Tensor]:
    """What all processes made in a round; `processes.gathered` for maps of any shape and kind."""
    if processes.count() == 1:
        return parts
    return processes.gathered([part.flatten(1).float() for part in parts], total)


@contextmanager
def writing(path: Path, count: int, like: Tensor) -> Iterator[Callable[[list[Tensor]], None]]:
    """Write a safetensors file of one tensor piece by piece; it is there when it is whole.

    On each machine one process writes.

    Args:
        path: of the file.
        count: N.
        like: an example (1, ...).

    Yields:
        What takes the next pieces, of as many numbers a picture and any shape.

    Raises:
        ContractError: the disk has no room for the file.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        yield lambda _: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    size = count * like.nbytes
    free = shutil.disk_usage(path.parent).free
    require(
        free > SPARE * size,
        f"maps of {count} pictures take {size / 1e9:.1f} GB and {path.parent} has {free / 1e9:.1f} "
        "GB free: name another folder with --cache-dir, or ask for fewer views, or for stages 0.",
    )
    facts = {"dtype": NAMES[like.dtype], "shape": [count, *like.shape[1:]]}
    header = json.dumps({"maps": {**facts, "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    part = path.with_suffix(f".{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)

            def write(pieces: list[Tensor]) -> None:
                for piece in pieces:
                    numbers = piece.to(like.dtype).contiguous().view(-1).view(torch.uint8)
                    file.write(numbers.numpy().data)

            yield write
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
