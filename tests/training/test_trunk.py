"""The stages of torchvision's networks, and the cut between two of them."""

import pytest
import torch
from torch import nn

from contract.model_card import Network
from contract.network import build_classifier
from contract.strict import ContractError
from training.schedule import groups
from training.trunk import cut, first_learning, stages_of

STAGES = {
    "resnet18": ["conv1", "layer1", "layer2", "layer3", "layer4"],
    "regnet_y_400mf": ["stem", *(f"trunk_output.block{i}" for i in range(1, 5))],
    "shufflenet_v2_x0_5": ["conv1", "stage2", "stage3", "stage4", "conv5"],
    "efficientnet_b0": [f"features.{i}" for i in range(9)],
    "mobilenet_v3_small": [*(f"features.{i}" for i in range(13)), "classifier"],
    "convnext_tiny": [f"features.{i}" for i in range(8)],
    "swin_t": [f"features.{i}" for i in range(8)],
    "densenet121": [
        "features.conv0",
        *(f"features.{kind}{i}" for i in (1, 2, 3) for kind in ("denseblock", "transition")),
        "features.denseblock4",
    ],
    "vit_b_32": ["conv_proj", *(f"encoder.layers.encoder_layer_{i}" for i in range(12))],
}
SIDE_PX = {"vit_b_32": 224}


def backbone_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_classifier(Network(backbone=name, hidden_units=0), 2).backbone.eval()


@pytest.mark.parametrize("name", STAGES)
def test_a_network_is_cut_between_its_stages_and_says_the_same(name: str) -> None:
    backbone = backbone_of(name)
    side = SIDE_PX.get(name, 64)
    images = torch.randn(2, 3, side, side)

    stages = stages_of(backbone)

    assert [stage.name for stage in stages] == STAGES[name]
    owned = [p for stage in stages for p in stage.parameters]
    assert {id(p) for p in owned} == {id(p) for p in backbone.parameters()}
    assert len(owned) == len(set(owned))
    with torch.inference_mode():
        wanted = backbone(images)
        for place in (1, len(stages) - 1):
            lower, upper = cut(backbone, stages, place)
            assert torch.equal(upper(lower(images)), wanted)


def test_both_halves_hold_the_backbones_own_weights() -> None:
    backbone = backbone_of("shufflenet_v2_x0_5")
    stages = stages_of(backbone)

    lower, upper = cut(backbone, stages, 4)

    assert {id(p) for p in upper.parameters()} == {id(p) for p in stages[4].parameters}
    assert {id(p) for p in lower.parameters()} == {
        id(p) for stage in stages[:4] for p in stage.parameters
    }


def test_more_stages_than_there_are_is_refused_by_their_names() -> None:
    stages = stages_of(backbone_of("resnet18"))

    assert [first_learning(stages, wanted, "resnet18") for wanted in (0, 1, 5)] == [0, 4, 0]
    with pytest.raises(ContractError, match=r"stages is 6; resnet18 has 5: conv1, layer1"):
        first_learning(stages, 6, "resnet18")


def test_rates_fall_from_the_head_to_the_stem_and_only_weights_decay() -> None:
    with torch.device("meta"):
        classifier = build_classifier(Network(backbone="vit_b_32", hidden_units=4), 2)
    stages = stages_of(classifier.backbone)

    found = groups(classifier, stages, 0.5)

    names = {p: name for name, p in classifier.named_parameters()}
    facts = {
        names[p]: (group["share"], group.get("weight_decay", "decays"))
        for group in found
        for p in group["params"]
    }
    assert len(facts) == len(names)
    layer = "backbone.encoder.layers.encoder_layer_11"
    assert facts["head.0.weight"] == (1.0, "decays")
    assert facts["head.2.bias"] == (1.0, 0.0)
    assert facts[f"{layer}.self_attention.in_proj_weight"] == (0.5, "decays")
    assert facts[f"{layer}.ln_1.weight"] == facts["backbone.encoder.ln.weight"] == (0.5, 0.0)
    assert facts["backbone.encoder.layers.encoder_layer_0.mlp.0.weight"] == (0.5**12, "decays")
    assert facts["backbone.conv_proj.weight"] == (0.5**13, "decays")
    assert facts["backbone.class_token"] == (0.5**13, 0.0)
    assert facts["backbone.encoder.pos_embedding"] == (0.5**13, 0.0)
