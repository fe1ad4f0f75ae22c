"""The same layers for training and serving, from a name; names that do not work are refused."""

import pytest
import torch

from contract.model_card import Network
from contract.network import build_classifier
from contract.strict import ContractError


@pytest.mark.parametrize(
    ("backbone", "features"),
    [("resnet18", 512), ("mobilenet_v3_small", 1024), ("efficientnet_b0", 1280)],
)
@pytest.mark.parametrize("hidden_units", [0, 16])
def test_a_backbone_gets_a_head_for_the_classes(
    backbone: str, features: int, hidden_units: int
) -> None:
    network = Network(backbone=backbone, hidden_units=hidden_units)

    classifier = build_classifier(network, class_count=3).eval()

    with torch.inference_mode():
        logits_BK = classifier(torch.zeros(2, 3, 64, 64))
    assert classifier.features == features
    assert logits_BK.shape == (2, 3)


@pytest.mark.parametrize("name", ["resnet19", "os.system", "googlenet", "squeezenet1_0"])
def test_a_backbone_that_cannot_take_a_head_is_refused_by_name(name: str) -> None:
    with pytest.raises(ContractError, match=f"backbone .*{name}"):
        build_classifier(Network(backbone=name, hidden_units=0), class_count=3)
