"""Weights for a machine without ImageNet's: random, but with features that differ by picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarks.training.rows import Setup
from safetensors.torch import save_file
from torch import nn

from contract.hyperparameters import Hyperparameters
from contract.network import torchvision
from contract.preprocessing import eval_view
from training.run import input_spec

PICTURES = 32

QUIET, QUIET_SCALE = "bn3", 0.2
"""BatchNorm at the end of a bottleneck, and its scale. With random weights at full scale, each
block makes the rounding of the one before larger; in a trained network it does not grow."""


def save_random_weights(setup: Setup, paths: Sequence[Path] = ()) -> None:
    """Write a whole network's state unless it is there.

    A deep network with random weights answers all pictures nearly alike. With BatchNorm
    statistics taken from pictures, its features spread as those of a trained one do.

    Args:
        setup: the network, and where its weights go.
        paths: the pictures; without any, the first of the setup's training pictures.
    """
    if setup.weights.exists():
        return
    torch.manual_seed(setup.seed)
    settings = Hyperparameters(backbone=setup.backbone, image_size_px=setup.image_size_px)
    network = torchvision.models.get_model(setup.backbone, weights=None).train()
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = None  # a plain mean over what it sees
    with torch.no_grad():
        for name, layer in network.named_modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and name.endswith(QUIET):
                layer.weight.fill_(QUIET_SCALE)
    first = sorted((setup.data / "train").rglob("*.jpg"), key=lambda path: path.name)[:PICTURES]
    spec = input_spec(settings)
    images_BCSS = np.stack([eval_view(path.read_bytes(), spec) for path in paths or first])
    with torch.no_grad():
        network(torch.from_numpy(images_BCSS))
    save_file(network.state_dict(), setup.weights)
