"""What training exports beside the weights so that serving is fast, and how both run it.

An OpenVINO network is two files: `openvino.xml`, the layers, and `openvino.bin`, their numbers.
The same float32 file runs in float32 and in bfloat16; int8 has files of its own.
"""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from contract.strict import require

Precision = Literal["fp32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
MODEL_FILES: dict[Precision, str] = {
    "fp32": "openvino.xml",
    "bf16": "openvino.xml",
    "int8": "openvino-int8.xml",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeCard:
    """One way to run the network, and what it was measured to be worth."""

    name: Literal["openvino-fp32", "openvino-bf16", "openvino-int8"]

    file: str
    """Its layers; the numbers lie beside, as .bin. Both are among the card's files if accepted."""

    precision: Precision
    """What most of it is computed in."""

    accepted: bool
    """Whether it may serve."""

    refused: str | None
    """Why it may not; null if it may."""

    accuracy: float | None
    """Share of validation pictures whose first label is right; null where there were none."""

    agreement: float | None
    """Share of validation pictures whose first label is that of the float32 network."""

    median_ms: float | None
    """For one picture on one core, without decoding; null where it was not timed."""

    machine: str | None
    """What it was timed on."""

    golden_probability: float | None
    """What it says of the golden picture's label; null if it was never run."""

    max_points_lost: float
    """The limit, in percent, that it was judged by."""

    def __post_init__(self) -> None:
        require(
            self.name == f"openvino-{self.precision}",
            f"name is {self.name}, precision {self.precision}; they must belong together.",
        )
        require(
            self.accepted is (self.refused is None),
            "refused must say why exactly when accepted is false.",
        )
        require(
            not self.accepted or self.golden_probability is not None,
            "golden_probability must be given when accepted is true.",
        )

    @property
    def files(self) -> tuple[str, str]:
        """Layers and numbers."""
        return self.file, str(PurePath(self.file).with_suffix(".bin"))


def compile_settings(precision: Precision, threads: int, streams: int = 1) -> dict[str, Any]:
    """How OpenVINO's CPU device is told to compile a network, in measuring and in serving.

    Args:
        precision: of the arithmetic. What int8 leaves in floats stays float32, so that its
            answers are the same on every processor.
        threads: for all streams together.
        streams: how many pictures are looked at at once.
    """
    return {
        "ENABLE_CPU_PINNING": False,  # several processes would pin to the same cores
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "NUM_STREAMS": streams,
    }


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    return importlib.util.find_spec("openvino") is not None


def import_openvino() -> Any:
    """OpenVINO, without what reports its use to its makers (docs/decisions/0152)."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # "cannot be imported"
    return importlib.import_module("openvino")
