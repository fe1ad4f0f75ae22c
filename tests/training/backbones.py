"""A tiny frozen backbone, and counting what is asked of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from contract.model_card import InputSpec
from training.faster import Speed
from training.features import Source
from training.identity import weights_sha256

SPEC = InputSpec(resize_px=36, size_px=32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def tiny_backbone(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 6, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())


def tiny_source(seed: int = 0, spec: InputSpec = SPEC, speed: Speed | None = None) -> Source:
    backbone = tiny_backbone(seed).eval()
    return Source(
        backbone=backbone,
        name="tiny",
        weights=weights_sha256(backbone),
        spec=spec,
        speed=speed or Speed(),
    )


@contextmanager
def counted(kind: str) -> Iterator[list[int]]:
    """Batches that layers of a class were given, as their numbers of pictures."""
    batches: list[int] = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if type(layer).__name__ == kind and inputs[0].device.type != "meta":
            batches.append(len(inputs[0]))

    with torch.nn.modules.module.register_module_forward_pre_hook(look):
        yield batches


def stored(cache_dir: Path) -> list[Path]:
    """The files of a feature cache."""
    return sorted((cache_dir / "features").rglob("*.safetensors"))
