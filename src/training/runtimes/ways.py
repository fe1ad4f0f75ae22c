"""Ways to run one network, for measuring: each takes one picture and gives its logits.

C = 3 channels (RGB), S = side of the network's input in pixels, K = classes.
"""

import copy
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from contract.runtimes import Precision, compile_settings, import_openvino

WARM_UPS = 3
REPEATS = 25
SECONDS = 10.0
"""After which no further repeat begins."""

Floats = npt.NDArray[np.float32]
Way = Callable[[Floats], Floats]
"""From float32 (1, C, S, S) to float32 (K); safe to call from several threads."""


def openvino_way(file: Path, precision: Precision, size_px: int, threads: int) -> Way:
    """The network of a file, compiled as serving compiles it, for several pictures at once.

    Args:
        file: the .xml.
        precision: of the arithmetic.
        size_px: side of the input.
        threads: pictures at once, each on one thread.
    """
    core = import_openvino().Core()
    model = core.read_model(file)
    model.reshape([1, 3, size_px, size_px])
    compiled = core.compile_model(model, "CPU", compile_settings(precision, threads, threads))
    mine = threading.local()

    def answer(image_1CSS: Floats) -> Floats:
        if not hasattr(mine, "request"):
            mine.request = compiled.create_infer_request()
        logits_1K = mine.request.infer([image_1CSS], share_inputs=True)[0]
        return np.array(logits_1K[0], np.float32)

    return answer


def torch_way(network: nn.Module) -> Way:
    """The network as it was trained, in float32."""

    def answer(image_1CSS: Floats) -> Floats:
        torch.set_num_threads(1)
        with torch.inference_mode():
            logits_1K: Tensor = network(torch.from_numpy(image_1CSS))
        return logits_1K[0].numpy()

    return answer


def rounded_way(network: nn.Module) -> Way:
    """The network in float32, with every layer's numbers rounded to bfloat16.

    What a processor with bfloat16 computes, on one without: it multiplies rounded numbers and adds
    the products up in float32 (docs/decisions/0151).
    """
    rounded_network = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in rounded_network.parameters():
            parameter.copy_(parameter.bfloat16())
    for layer in rounded_network.modules():
        if next(layer.children(), None) is None:
            layer.register_forward_pre_hook(_round_inputs)
            layer.register_forward_hook(_round_output)
    return torch_way(rounded_network)


def time_on_one_core(ways: Sequence[Way], image_1CSS: Floats) -> list[float]:
    """Milliseconds of one picture in each of some ways, the median of turns taken in rotation."""
    taken: list[list[float]] = [[] for _ in ways]
    for way in ways:
        for _ in range(WARM_UPS):
            way(image_1CSS)
    begun = time.perf_counter()
    while len(taken[0]) < REPEATS and time.perf_counter() - begun < SECONDS:
        for way, times in zip(ways, taken, strict=True):
            started = time.perf_counter()
            way(image_1CSS)
            times.append(time.perf_counter() - started)
    return [round(1000 * median(times), 3) for times in taken]


def _round_inputs(_layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_rounded(value) for value in inputs)


def _round_output(_layer: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
    return _rounded(output)


def _rounded(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dtype == torch.float32:
        return value.bfloat16().float()
    return value
