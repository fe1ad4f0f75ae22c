"""From the trained network to OpenVINO's, in float32 and in 8-bit integers.

C = 3 channels (RGB), S = side of the network's input in pixels.
"""

import importlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from contract.model_card import InputSpec
from contract.network import Classifier
from contract.runtimes import import_openvino
from contract.strict import ContractError
from training.runtimes.ways import Floats

TRANSFORMERS = ("vit", "swin", "maxvit")
"""Beginnings of the names of torchvision's networks of this kind; NNCF treats them otherwise."""
MODEL_NAME = "kennel"
"""By default it would count the conversions of the process, and be other bytes each time."""


def has_nncf() -> bool:
    """Whether NNCF, which makes 8-bit networks, is installed; it is not imported."""
    return importlib.util.find_spec("nncf") is not None


def to_openvino(classifier: Classifier, spec: InputSpec) -> Any:
    """The same network for OpenVINO, in float32, for any number of pictures.

    Raises:
        ContractError: OpenVINO cannot express one of its layers.
    """
    size = spec.size_px
    with quiet():
        openvino = import_openvino()
        try:
            # Fixed weights: with others torch traces attention in two ways, and tracing fails.
            model = openvino.convert_model(
                classifier.cpu().eval().requires_grad_(False),
                example_input=torch.zeros(1, 3, size, size),
                input=[-1, 3, size, size],
            )
        except RuntimeError as error:
            raise ContractError(
                f"OpenVINO cannot convert this network: {_one_line(error)}. Train another backbone."
            ) from None
    model.set_friendly_name(MODEL_NAME)
    return model


def to_int8(model: Any, views: Sequence[Floats], backbone: str) -> Any:
    """The network in 8-bit integers, its ranges taken from what training pictures cause in it.

    Args:
        model: as `to_openvino` makes it.
        views: float32 of shape (1, C, S, S) each.
        backbone: torchvision's name.

    Raises:
        ContractError: NNCF cannot quantize this network.
    """
    with quiet():
        import_openvino()  # first, and so without its reports to its makers; NNCF's go the same way
        nncf = importlib.import_module("nncf")
        kind = nncf.ModelType.TRANSFORMER if backbone.startswith(TRANSFORMERS) else None
        try:
            quantized = nncf.quantize(
                model.clone(), nncf.Dataset(views), subset_size=len(views), model_type=kind
            )
        except Exception as error:  # NNCF raises its own kinds, numpy's and OpenVINO's
            raise ContractError(_one_line(error)) from error
    quantized.set_friendly_name(MODEL_NAME)
    return quantized


def save(model: Any, path: Path) -> None:
    """Write the .xml and the .bin beside it, numbers as they are."""
    import_openvino().save_model(model, path, compress_to_fp16=False)


def _one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300].rstrip(".")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars, banners and warnings of the converters from people."""
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
