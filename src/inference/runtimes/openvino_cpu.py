"""The fast runtime: the exported network in OpenVINO, on the CPU, without torch.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels,
K = classes.
"""

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np

from contract.processor import Processor, find_processor
from contract.runtimes import RuntimeCard, compile_settings, import_openvino
from contract.strict import ContractError, require
from inference.archive import Archive
from inference.runtimes.base import Floats

DEVICE = "CPU"
_HEAD_BYTES = 1000


class OpenvinoCpu:
    """A network compiled for pictures one by one; each calling thread has a request of its own."""

    def __init__(self, compiled: Any, card: RuntimeCard, processor: Processor) -> None:
        self.name = card.name
        self.processor = processor.level
        self.golden_probability = card.golden_probability
        self._compiled = compiled
        self._mine = threading.local()

    def logits(self, images_BCSS: Floats) -> Floats:
        """Run the network; see `inference.runtimes.base.Runtime`."""
        request = self._request()
        # The results lie in the request's own memory, which the next picture overwrites.
        rows = [
            request.infer([image_CSS[None]], share_inputs=True, share_outputs=True)[0].copy()
            for image_CSS in images_BCSS
        ]
        return np.concatenate(rows)

    def _request(self) -> Any:
        if not hasattr(self._mine, "request"):
            self._mine.request = self._compiled.create_infer_request()
        return self._mine.request


def this_processor() -> Processor:
    """What this machine's processor computes fast."""
    return find_processor(_capabilities)


def load(archive: Archive, card: RuntimeCard, threads: int) -> OpenvinoCpu:
    """Read the network's files and compile it for this processor.

    Args:
        archive: the checked model.
        card: which of its runtimes.
        threads: how many threads one forward pass may use.

    Raises:
        ContractError: OpenVINO cannot read or compile the files.
    """
    size = archive.card.input.size_px
    _require_network(archive.folder / card.file)
    core = import_openvino().Core()
    try:
        model = core.read_model(archive.folder / card.file)
        model.reshape([1, 3, size, size])  # known shapes compile to faster code
        compiled = core.compile_model(model, DEVICE, compile_settings(card.precision, threads))
        classes = compiled.output(0).shape[-1]
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ContractError(
            f"{card.file} cannot be run as {card.name}: {reason}. Package the model again."
        ) from None
    if classes != len(archive.card.classes):
        raise ContractError(
            f"{card.file} answers with {classes} numbers; the card has "
            f"{len(archive.card.classes)} classes. Package the model again."
        )
    return OpenvinoCpu(compiled, card, this_processor())


def _require_network(path: Path) -> None:
    """Refuse what is not OpenVINO's: it would try, and complain, as every other format it knows."""
    with path.open("rb") as file:
        found = re.search(rb"<net\s[^>]*version=", file.read(_HEAD_BYTES))
    require(found is not None, f"{path.name} is not an OpenVINO network. Package the model again.")


def _capabilities() -> list[str]:
    found: list[str] = import_openvino().Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    return found
