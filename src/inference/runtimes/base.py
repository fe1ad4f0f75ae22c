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

    @property
    def name(self) -> str:
        """What it is and in which precision it computes, like `openvino-bf16`."""

    @property
    def processor(self) -> str:
        """The processor's level: amx, avx512, avx2 or none."""

    @property
    def golden_probability(self) -> float | None:
        """What it said of the golden picture's label when it was measured, if it was."""

    def logits(self, images_BCSS: Floats) -> Floats:
        """Run the network.

        Args:
            images_BCSS: float32, as `contract.preprocessing.normalise` makes them.

        Returns:
            float32 of shape (B, K), before temperature and softmax.
        """
