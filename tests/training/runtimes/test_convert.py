"""A network of another kind than the tiny trained one, really converted and run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from contract.model_card import InputSpec
from contract.network import Classifier
from contract.runtimes import Precision
from training.runtimes.convert import save, to_int8, to_openvino
from training.runtimes.ways import openvino_way, torch_way

pytestmark = pytest.mark.slow
SIZE = 32
SPEC = InputSpec(resize_px=SIZE, size_px=SIZE, mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-4), ("int8", 0.1)])
def test_a_vision_transformer_says_what_it_says_in_torch(
    tmp_path: Path, precision: Precision, within: float
) -> None:
    torch.manual_seed(7)
    backbone = VisionTransformer(SIZE, 8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)
    backbone.heads = nn.Sequential()
    network = Classifier(backbone, nn.Linear(32, 5), features=32).eval()
    pictures = np.random.default_rng(7).normal(size=(8, 1, 3, SIZE, SIZE)).astype(np.float32)

    model = to_openvino(network, SPEC)
    if precision == "int8":
        model = to_int8(model, list(pictures), "vit_b_16")
    save(model, tmp_path / "model.xml")

    exact, other = torch_way(network), openvino_way(tmp_path / "model.xml", precision, SIZE, 1)
    for picture_1CSS in pictures:
        np.testing.assert_allclose(other(picture_1CSS), exact(picture_1CSS), atol=within)
