"""Mixup: pictures are shown as weighted means of two, and so are their labels.

B = pictures in a batch, K = classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from training.chance import MIXUP, chance


def mixed(
    inputs_B: Tensor,
    labels_B: Tensor,
    positions: Sequence[int],
    *,
    classes: int,
    alpha: float,
    seed: int,
    epoch: int,
) -> tuple[Tensor, Tensor]:
    """Mix neighbours in a batch with each other (Zhang et al., mixup, 2018).

    The first is mixed with the second, the third with the fourth and so on, each pair by a share
    of its own that depends on its position in the run alone. A last one without a neighbour stays
    as it is.

    Args:
        inputs_B: pictures, or maps of them, of shape (B, ...).
        labels_B: int64 class numbers.
        positions: of the pictures in the epoch.
        classes: K.
        alpha: of the symmetric Beta distribution of the shares, above 0.
        seed: of the run.
        epoch: 1, 2, ...

    Returns:
        Inputs of the same shape, and float32 targets (B, K).
    """
    firsts = positions[: len(positions) - len(positions) % 2 : 2]
    shares = [chance(seed, epoch, first, MIXUP).beta(alpha, alpha) for first in firsts]
    own = [share for share in shares for _ in range(2)] + [1.0] * (len(positions) % 2)
    partner = [place ^ 1 for place in range(2 * len(shares))] + [len(positions) - 1] * (
        len(positions) % 2
    )
    own_B = torch.tensor(own, dtype=torch.float32, device=inputs_B.device)
    partner_B = torch.tensor(partner, device=inputs_B.device)
    targets_BK = one_hot(labels_B, classes).float()
    wide_B = own_B.view(-1, *[1] * (inputs_B.dim() - 1)).to(inputs_B.dtype)
    return (
        inputs_B * wide_B + inputs_B[partner_B] * (1 - wide_B),
        targets_BK * own_B[:, None] + targets_BK[partner_B] * (1 - own_B[:, None]),
    )
