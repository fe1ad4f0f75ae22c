"""A network's answers to pictures.

B = pictures in a batch, N = pictures in all, C = 3 channels (RGB), S = side of the network's
input in pixels, F = what the network returns for a picture: features or logits.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from contract.model_card import InputSpec
from contract.preprocessing import Pixels, decode, eval_pixels, normalise
from training import processes
from training.data import Picture
from training.data.workers import side_by_side as side_by_side  # for those who import it from here
from training.runlog import RunLog

BATCH = 32
"""Pictures that are answered together; not a hyperparameter, so that no result depends on one."""


@contextmanager
def one_thread() -> Iterator[int]:
    """Let each operation run on one thread, so that its sums have one order on every machine.

    Yields:
        How many threads there were, to be used side by side.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def answers(
    network: nn.Module,
    pictures: Sequence[Picture],
    spec: InputSpec,
    log: RunLog,
    doing: str,
    plain: Callable[[Picture], Pixels] | None = None,
) -> Tensor:
    """What a network says to each picture, in eval mode and without autograd.

    Batches run side by side, each on one thread: the bits do not depend on how many cores there
    are, nor on how many processes share the work.

    Args:
        network: (B, C, S, S) to (B, F).
        pictures: which.
        spec: what the network expects.
        log: is told the progress.
        doing: what it is called there.
        plain: reads a picture as `eval_pixels` shows it, as `Store.plain` does; by default from
            its file.

    Returns:
        float32 of shape (N, F), in main memory.
    """
    device = next(network.parameters()).device
    network.eval()

    def from_file(picture: Picture) -> Pixels:
        return eval_pixels(decode(picture.path.read_bytes(), spec.resize_px), spec)

    read = plain or from_file

    def answer(batch: Sequence[Picture]) -> Tensor:
        torch.set_num_threads(1)
        with torch.inference_mode():
            images = np.stack([normalise(read(picture), spec) for picture in batch])
            images_BCSS = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
            answers_BF: Tensor = network(images_BCSS)
            return answers_BF.float().cpu().contiguous()

    batches = [pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH)]
    parts: list[Tensor] = []
    started, done = time.monotonic(), 0
    with one_thread() as threads:
        for part in side_by_side(answer, processes.dealt(batches), threads):
            parts.append(part)
            done += len(part) * processes.count()
            log.progress(doing, min(done, len(pictures)), len(pictures), started)
    return torch.cat(processes.gathered(parts, len(batches))).clone()
