"""The layers that a model's weights belong to; training and serving build the same ones.

B = pictures in a batch, C = 3 channels (RGB), S = side of the input in pixels, F = features,
K = classes.
"""

import importlib
import sys
from types import ModuleType
from typing import cast

import torch
from torch import Tensor, nn

from contract.model_card import Network
from contract.strict import ContractError


def _torchvision() -> ModuleType:
    """Import torchvision, also beside a torch that its compiled operators were not built for.

    A CPU build of torch beside the registry's torchvision cannot load those operators (box
    suppression and the like). Classification uses none of them, but the import registers a
    shape rule for two: they only need to be declared.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    for name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{name}", "(Tensor dets, Tensor scores, float t) -> Tensor"
        )
    return importlib.import_module("torchvision")


torchvision = _torchvision()


_SIDE_OUTPUTS = {"googlenet", "inception_v3"}
"""They end in several layers, so there is no one layer to put a head in place of."""


class Classifier(nn.Module):
    """A torchvision backbone without its last layer, and a head of our own."""

    def __init__(self, backbone: nn.Module, head: nn.Module, features: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.features = features

    def forward(self, images_BCSS: Tensor) -> Tensor:
        """Logits of shape (B, K) from float32 input of shape (B, C, S, S)."""
        logits_BK: Tensor = self.head(self.backbone(images_BCSS))
        return logits_BK


def build_classifier(network: Network, class_count: int) -> Classifier:
    """Build the layers, with random weights.

    Raises:
        ContractError: torchvision has no such classification network, or it does not end in a
            linear layer.
    """
    backbone, features = build_backbone(network.backbone)
    return Classifier(backbone, build_head(features, network.hidden_units, class_count), features)


def build_backbone(name: str) -> tuple[nn.Module, int]:
    """Build a network without its last linear layer, with random weights.

    Returns:
        The network, and how many features it returns for a picture.

    Raises:
        ContractError: torchvision has no such classification network, or it does not end in a
            linear layer.
    """
    models = torchvision.models
    if name not in set(models.list_models(module=models)) - _SIDE_OUTPUTS:
        raise ContractError(
            f"backbone is {name!r}; it must be a classification network of "
            "torchvision, like resnet50, resnet18 or mobilenet_v3_small."
        )
    backbone = models.get_model(name, weights=None)
    return backbone, strip_last_linear(backbone, name)


def build_head(features: int, hidden_units: int, class_count: int) -> nn.Module:
    """A linear head, or one with a hidden layer: (B, F) to (B, K)."""
    if hidden_units == 0:
        return nn.Linear(features, class_count)
    return nn.Sequential(
        nn.Linear(features, hidden_units), nn.ReLU(), nn.Linear(hidden_units, class_count)
    )


def strip_last_linear(backbone: nn.Module, name: str) -> int:
    """Replace the network's last linear layer by nothing.

    Returns:
        How many features it was given.
    """
    linears = [path for path, layer in backbone.named_modules() if isinstance(layer, nn.Linear)]
    if not linears:
        raise ContractError(f"backbone {name!r} does not end in one linear layer; choose another.")
    parent, _, child = linears[-1].rpartition(".")
    last = cast(nn.Linear, backbone.get_submodule(linears[-1]))
    setattr(backbone.get_submodule(parent), child, nn.Identity())
    return last.in_features
