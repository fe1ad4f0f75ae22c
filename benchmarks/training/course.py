"""The usual loop of the course that this project grows out of, as written and repaired.

Written anew from a description of it: a frozen backbone with the head
Linear(F, 128)-ReLU-Linear(128, K), Adam, batches of 32, pictures read by ImageFolder in the
training process, the backbone run in every epoch.
"""

import time

import torch
from benchmarks.training.rows import Outcome, Setup
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from contract.network import torchvision
from training.weights import pixel_statistics

Loader = DataLoader[tuple[Tensor, Tensor]]


def as_written(setup: Setup) -> Outcome:
    """With its faults: see `train`."""
    return _measured(setup, repaired=False)


def repaired(setup: Setup) -> Outcome:
    """The same loop without them, so that nobody is beaten by a bug."""
    return _measured(setup, repaired=True)


def _measured(setup: Setup, *, repaired: bool) -> Outcome:
    started = time.perf_counter()
    train_loader, valid_loader = loaders(setup, repaired=repaired)
    classes = len(train_loader.dataset.classes)  # type: ignore[attr-defined]  # ImageFolder's
    network = course_network(setup, classes)
    losses = train(network, train_loader, valid_loader, setup, repaired=repaired)
    seconds = time.perf_counter() - started
    facts = {"valid_loss": min(losses), "epochs": len(losses)}
    return Outcome(seconds=seconds * setup.epochs / len(losses), facts=facts)


def loaders(setup: Setup, *, repaired: bool) -> tuple[Loader, Loader]:
    """Training and validation pictures: as written, squashed and not normalised."""
    size, T = setup.image_size_px, torchvision.transforms
    normalise = [T.Normalize(*pixel_statistics(setup.backbone))] if repaired else []
    whole = [T.Resize(round(size * 256 / 224)), T.CenterCrop(size)]
    shown = whole if repaired else [T.Resize((size, size))]
    changed = [T.RandomResizedCrop(size), T.RandomHorizontalFlip()]

    def loader(split: str, steps: list[nn.Module], *, shuffle: bool) -> Loader:
        views = T.Compose([*steps, T.ToTensor(), *normalise])
        pictures = torchvision.datasets.ImageFolder(setup.data / split, views)
        return DataLoader(pictures, setup.batch_size, shuffle=shuffle)

    return loader("train", changed, shuffle=True), loader("valid", shown, shuffle=False)


def course_network(setup: Setup, classes: int) -> nn.Module:
    """The frozen backbone with its two-layer head."""
    network: nn.Module = torchvision.models.get_model(setup.backbone, weights=None)
    network.load_state_dict(load_file(setup.weights))
    for parameter in network.parameters():
        parameter.requires_grad = False
    name, last = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear)][-1]
    torch.manual_seed(setup.seed)
    head = nn.Sequential(nn.Linear(last.in_features, 128), nn.ReLU(), nn.Linear(128, classes))
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, head)
    return network


def train(
    network: nn.Module, train_loader: Loader, valid_loader: Loader, setup: Setup, *, repaired: bool
) -> list[float]:
    """The loop.

    As written, BatchNorm is in training mode while the backbone is said to be frozen, validation
    records gradients, and the loop ends after its first epoch whatever number is asked for.

    Returns:
        The mean validation loss per picture of each epoch that was made.
    """
    head = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(head, lr=setup.learning_rate)
    losses: list[float] = []
    for _ in range(setup.epochs):
        network.train(not repaired)
        for images_BCSS, labels_B in train_loader:
            optimizer.zero_grad()
            loss = cross_entropy(network(images_BCSS), labels_B)
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not say its type
            optimizer.step()
        network.eval()
        total, seen = 0.0, 0
        with torch.set_grad_enabled(not repaired):
            for images_BCSS, labels_B in valid_loader:
                total += cross_entropy(network(images_BCSS), labels_B).item() * len(labels_B)
                seen += len(labels_B)
        losses.append(total / seen)
        if not repaired:
            break  # whatever the number of epochs asked for
    return losses
