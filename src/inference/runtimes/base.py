"""What every runtime can do.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels,
K = classes.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Runtime(Protocol):
    """Runs one network; safe to call from several threads."""

    name: str
    """What replies carry in the header X-Kennel-Runtime."""

    def logits(self, images_BCSS: Floats) -> Floats:
        """Run the network.

        Args:
            images_BCSS: float32, as `contract.preprocessing.normalise` makes them.

        Returns:
            float32 of shape (B, K), before temperature and softmax.
        """
