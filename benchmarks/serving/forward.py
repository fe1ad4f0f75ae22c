"""`python -m benchmarks.serving.forward HOME PICTURE`: the bare forward pass, on this core.

Loads the model as our server does, for PRECISION, and prints one JSON object: the runtime, how
long one forward pass and one decoding take, how fast this core can multiply at that precision,
and the share of validation pictures whose first label is that of eager float32.

B = pictures in a batch, C = 3 channels, S = side of the network's input, N = side of a matrix.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from contract.model_card import ModelCard, read_card
from contract.network import build_classifier
from contract.preprocessing import eval_view
from contract.runtimes import compile_settings, import_openvino
from inference.archive import open_archive
from inference.predictor import load_predictor
from inference.runtimes import torch_eager
from inference.runtimes.base import Runtime

N = 2048
"""Large enough that multiplying takes all the time."""
BATCH = 8
WARM_UPS = 5


def median_seconds(work: Callable[[], object], seconds: float) -> float:
    """The median time of one call, of as many as fit."""
    for _ in range(WARM_UPS):
        work()
    took: list[float] = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return float(np.median(took))


def flops(card: ModelCard) -> int:
    """Additions and multiplications of one forward pass, counted by torch."""
    network, size_px = build_classifier(card.network, len(card.classes)), card.input.size_px
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, size_px, size_px))
    return int(counter.get_total_flops())


def peak_flops(precision: str) -> tuple[float, str]:
    """The fastest that this core multiplies two large matrices, and by which library.

    Args:
        precision: fp32, bf16 or int8.
    """
    torch.set_num_threads(1)
    found = {"torch": _torch_product(precision)}
    if find_spec("openvino") is not None:  # without it the server does not use it either
        found["OpenVINO"] = _openvino_product(precision)
    library = max(found, key=found.__getitem__)
    return found[library], library


def _rate(work: Callable[[], object]) -> float:
    """Operations per second of the best of several products; nothing else can make it faster."""
    best = np.inf
    for _ in range(2 * WARM_UPS):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return float(2 * N**3 / best)


def _torch_product(precision: str) -> float:
    if precision == "int8":
        left_NN = torch.randint(-127, 127, (N, N), dtype=torch.int8)
        return _rate(lambda: torch._int_mm(left_NN, left_NN))
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left_NN = torch.randn(N, N).to(kind)
    return _rate(lambda: left_NN @ left_NN)


def _openvino_product(precision: str) -> float:
    openvino, op = (import_module(name) for name in ("openvino", "openvino.opset13"))
    given = op.parameter([N, N], np.float32)
    weights = op.constant(np.random.default_rng(7).uniform(-1, 1, (N, N)).astype(np.float32))
    left, right = given, weights
    if precision == "int8":
        ends = [op.constant(np.float32(end)) for end in (-1.28, 1.27)]
        left = op.fake_quantize(given, *ends, *ends, 256)
        near = [op.constant(np.float32(end)) for end in (-1.27, 1.27)]
        right = op.fake_quantize(weights, *near, *near, 255)
    product = op.matmul(left, right, transpose_a=False, transpose_b=False)
    compiled = openvino.Core().compile_model(
        openvino.Model([product], [given]),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        },
    )
    infer = compiled.create_infer_request()
    input_NN = np.random.default_rng(8).uniform(-1, 1, (N, N)).astype(np.float32)
    return _rate(lambda: infer.infer([input_NN], share_inputs=True))


def agreement(home: Path, runtime: Runtime, card: ModelCard) -> float:
    """The share of validation pictures whose first label is eager float32's."""
    answers: dict[str, str] = json.loads((home / "answers.json").read_text())
    same = 0
    for name, label in answers.items():
        view_CSS = eval_view((home / "photos" / name).read_bytes(), card.input)
        same += card.classes[int(runtime.logits(view_CSS[None])[0].argmax())] == label
    return same / len(answers)


def batched_seconds(model: Path, card: ModelCard, name: str, seconds: float) -> float:
    """One picture's share of a forward pass of BATCH pictures.

    Args:
        model: the folder with the card's files.
        card: of the model.
        name: of one of its runtimes.
        seconds: to measure for.
    """
    runtime = next(one for one in card.runtimes if one.name == name)
    core, size_px = import_openvino().Core(), card.input.size_px
    network = core.read_model(model / runtime.file)
    network.reshape([BATCH, 3, size_px, size_px])
    settings = compile_settings(runtime.precision, 1)
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    images_BCSS = np.random.default_rng(9).normal(size=(BATCH, 3, size_px, size_px))
    given = [images_BCSS.astype(np.float32)]
    return median_seconds(lambda: request.infer(given, share_inputs=True), seconds) / BATCH


def precision_of(runtime: str) -> str:
    """The precision in a runtime's name, like openvino-bf16."""
    return next((kind for kind in ("bf16", "int8") if kind in runtime), "fp32")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="what benchmarks.serving.material prepared")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--eager", action="store_true", help="the network in eager torch instead")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--compare", action="store_true", help="answers with eager float32's")
    given = parser.parse_args(argv)
    model = given.home / "ml" / "model"
    card, data = read_card(model), given.picture.read_bytes()
    images_BCSS = eval_view(data, card.input)[None]
    runtime: Runtime
    if given.eager:
        runtime = torch_eager.load(open_archive(model), 1)
    else:
        runtime = load_predictor(model, os.environ, threads=1).runtime
    forward = median_seconds(lambda: runtime.logits(images_BCSS), given.seconds)
    decode = median_seconds(lambda: eval_view(data, card.input), min(1, given.seconds))
    batched = {}
    if not given.eager:
        share = batched_seconds(model, card, runtime.name, given.seconds)
        batched = {"batched_seconds": share}
    peak, library = peak_flops(precision_of(runtime.name))
    sys.stdout.write(json.dumps({
        "runtime": runtime.name, "forward_seconds": forward, "decode_seconds": decode,
        "flops": flops(card), "peak": peak, "peak_by": library, **batched,
        **({"agreement": agreement(given.home, runtime, card)} if given.compare else {}),
    }) + "\n")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
