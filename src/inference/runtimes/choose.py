"""Which runtime serves: the fastest that the card accepted and the processor computes.

Runtimes are imported when they are chosen: torch is not in a process that runs OpenVINO.
"""

import importlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from contract.model_card import CARD_FILE, ModelCard
from contract.processor import Processor
from contract.runtimes import PRECISIONS, Precision, RuntimeCard, has_openvino, import_openvino
from contract.strict import require
from inference.archive import Archive
from inference.runtimes.base import Runtime

AUTO = "auto"
FASTEST_FIRST: tuple[Precision, ...] = ("int8", "bf16", "fp32")
_NATIVE: dict[Precision, str] = {
    "int8": "8-bit integers (VNNI or AMX)",
    "bf16": "bfloat16 (AVX512-BF16 or AMX)",
}


class Load(Protocol):
    """Loads one runtime."""

    def __call__(self) -> Runtime:
        """Load it; a ContractError says why that cannot be."""


def read_precision(environment: Mapping[str, str]) -> Precision | None:
    """PRECISION: which runtime is wanted, or None for the best.

    Raises:
        ContractError: it is none of auto, fp32, bf16 and int8.
    """
    text = environment.get("PRECISION") or AUTO
    known = {name: name for name in PRECISIONS}
    require(
        text == AUTO or text in known,
        f"PRECISION is {text!r}; it must be one of {AUTO}, {', '.join(PRECISIONS)}.",
    )
    return known.get(text)  # type: ignore[call-overload, no-any-return]  # any text may be asked for


def import_early(folder: Path) -> None:
    """Import the libraries that the model in a folder will need, and no others.

    The card is not checked here; one that cannot be read names no runtime.
    """
    if has_openvino() and _lists_runtimes(folder):
        import_openvino()
    else:
        importlib.import_module("inference.runtimes.torch_eager")


def runtimes(archive: Archive, precision: Precision | None, threads: int) -> list[Load]:
    """What may serve here, best first; each is loaded when it is called.

    Args:
        archive: the checked model.
        precision: the one that is wanted, or None for any.
        threads: how many threads one forward pass may use.

    Raises:
        ContractError: the wanted one was refused, or this processor does not compute it.
    """
    card = archive.card
    if not has_openvino() or not any(runtime.accepted for runtime in card.runtimes):
        _require_portable(precision)
        return [_portable(archive, threads)]
    from inference.runtimes import openvino_cpu

    chosen = choose(card, precision, openvino_cpu.this_processor())
    fast = [partial(openvino_cpu.load, archive, runtime, threads) for runtime in chosen]
    return list(fast) or [_portable(archive, threads)]


def choose(card: ModelCard, precision: Precision | None, processor: Processor) -> list[RuntimeCard]:
    """The card's runtimes that may serve on a processor, fastest first.

    Raises:
        ContractError: the wanted one was refused, or the processor does not compute it.
    """
    by_precision = {runtime.precision: runtime for runtime in card.runtimes}
    native = {"fp32": True, "bf16": processor.bf16, "int8": processor.int8}
    if precision is None:
        found = [by_precision[p] for p in FASTEST_FIRST if p in by_precision and native[p]]
        return [runtime for runtime in found if runtime.accepted]
    instead = f"Set the endpoint's precision to {AUTO}"
    require(
        precision in by_precision,
        f"PRECISION is {precision}, and {CARD_FILE} has no openvino-{precision}. {instead}, or "
        "package the model again with DATA.",
    )
    wanted = by_precision[precision]
    require(
        wanted.accepted,
        f"PRECISION is {precision}, and {CARD_FILE} refused {wanted.name}: {wanted.refused}. "
        f"{instead}, or package the model again with a higher max_points_lost.",
    )
    require(
        native[precision],
        f"PRECISION is {precision}, and this processor ({processor.level}) does not multiply "
        f"{_NATIVE.get(precision)}. {instead}, or choose another instance type.",
    )
    return [wanted]


def _portable(archive: Archive, threads: int) -> Load:
    from inference.runtimes import torch_eager

    return partial(torch_eager.load, archive, threads)


def _require_portable(precision: Precision | None) -> None:
    why = "OpenVINO is not installed here"
    if has_openvino():
        why = f"{CARD_FILE} has no runtime that was accepted"
    require(
        precision in (None, "fp32"),
        f"PRECISION is {precision}, and {why}. Set the endpoint's precision to {AUTO} or fp32.",
    )


def _lists_runtimes(folder: Path) -> bool:
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        return any(runtime["accepted"] for runtime in card["runtimes"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
