"""The portable runtime: the network as it was trained, in float32, on the CPU.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels,
K = classes.
"""

import torch

from contract.model_card import WEIGHTS_FILE
from contract.network import build_classifier
from contract.processor import Processor, find_processor
from contract.strict import ContractError
from inference.archive import Archive
from inference.runtimes.base import Floats
from inference.runtimes.weights import read_weights


class TorchEager:
    """A network in eager torch."""

    name = "torch-eager-fp32"
    golden_probability = None

    def __init__(self, network: torch.nn.Module, processor: Processor) -> None:
        self.processor = processor.level
        self._network = network

    def logits(self, images_BCSS: Floats) -> Floats:
        """Run the network; see `inference.runtimes.base.Runtime`."""
        with torch.inference_mode():
            logits_BK: torch.Tensor = self._network(torch.from_numpy(images_BCSS))
        return logits_BK.numpy()


def load(archive: Archive, threads: int) -> TorchEager:
    """Build the network and fill in the archive's weights.

    Args:
        archive: the checked model.
        threads: how many threads one forward pass may use.

    Raises:
        ContractError: the weights are not those of the network that the card names.
    """
    torch.set_num_threads(threads)
    card = archive.card
    network = build_classifier(card.network, len(card.classes)).eval().requires_grad_(False)
    try:
        network.load_state_dict(read_weights(archive.folder / WEIGHTS_FILE))
    except RuntimeError as error:
        first = str(error).strip().splitlines()[:2]
        raise ContractError(
            f"{WEIGHTS_FILE} does not fit {card.network.backbone} with {len(card.classes)} "
            f"classes: {' '.join(' '.join(first).split())[:300]}"
        ) from None
    return TorchEager(network, find_processor(list))
