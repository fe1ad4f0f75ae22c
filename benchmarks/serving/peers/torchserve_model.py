"""The class that TorchServe's image_classifier fills with the state dict of its archive."""

from torchvision.models.resnet import Bottleneck, ResNet


class Resnet50(ResNet):  # type: ignore[misc]  # torchvision has no types
    """torchvision's resnet50 with the benchmark's number of classes."""

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3], num_classes=133)
