"""Where a backbone's first weights come from.

ImageNet's are torchvision's, through torch's own cache: on a machine without a network they are
found if they were fetched before.
"""

import http.client
import socket
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from contract.model_card import file_sha256
from contract.network import torchvision
from contract.strict import ContractError, require

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CONNECT_TIMEOUT_SECONDS = 10.0
SUFFIXES = (".pth", ".pt", ".safetensors")
REMEDIES = (
    "Connect once to the network, put the file into torch's cache "
    "(TORCH_HOME/hub/checkpoints), or pass a file with --weights PATH; --weights random trains "
    "on an untrained backbone."
)


def load_weights(
    backbone: nn.Module, name: str, source: str, method: Literal["head", "finetune"]
) -> tuple[str, str]:
    """Give the backbone its first weights; random ones are those it already has.

    Args:
        backbone: without its last linear layer.
        name: torchvision's function name.
        source: `auto`, `imagenet`, `random` or a path.
        method: frozen features are best from the V1 recipe, fine-tuning starts best from V2.

    Returns:
        What the model card says of it, and why the weights are random where that was not asked.

    Raises:
        ContractError: the weights cannot be had or belong to another network.
    """
    if source == "random":
        return "random", "--weights random was asked for"
    if source in ("auto", "imagenet"):
        try:
            label, state = imagenet(name, method)
        except ContractError as error:
            if source == "imagenet":
                raise
            return "random", str(error)
    else:
        label, state = from_file(Path(source))
    fill(backbone, name, state, label)
    return label, ""


def imagenet(name: str, method: Literal["head", "finetune"]) -> tuple[str, dict[str, Any]]:
    """Fetch torchvision's weights, or take them from torch's cache.

    Returns:
        Their name and the whole network's state.
    """
    try:
        choices = torchvision.models.get_model_weights(name)
    except ValueError:
        choices = ()
    names = [weights.name for weights in choices]
    require(bool(names), f"torchvision has no ImageNet weights for {name!r}. {REMEDIES}")
    wanted = "IMAGENET1K_V1" if method == "head" and "IMAGENET1K_V1" in names else None
    weights = choices[wanted] if wanted else choices.DEFAULT
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_TIMEOUT_SECONDS)
    try:
        return weights.name, weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise ContractError(
            f"ImageNet weights of {name} cannot be had ({error}). {REMEDIES}"
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def from_file(path: Path) -> tuple[str, dict[str, Any]]:
    """Read a state dict, never code, from a file or from the one such file of a folder.

    Returns:
        `file:<sha256>` and the state.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
        require(
            len(files) == 1,
            f"{path} holds {len(files)} files of weights ({', '.join(SUFFIXES)}); name one.",
        )
        path = files[0]
    require(path.is_file(), f"weights {path} do not exist; name a file, auto, imagenet or random.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # any damage shows as any error; a person needs one line
        raise ContractError(
            f"{path} is not a state dict ({str(error).splitlines()[0]}); save one with "
            "torch.save(model.state_dict(), path) or as safetensors."
        ) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    require(
        bool(state) and all(isinstance(value, torch.Tensor) for value in state.values()),
        f"{path} is not a state dict: a plain dict of tensors by name.",
    )
    return f"file:{file_sha256(path)}", state


def fill(backbone: nn.Module, name: str, state: dict[str, Any], label: str) -> None:
    """Load all but the last linear layer, which the backbone no longer has."""
    if any(key.startswith("backbone.") for key in state):  # a model of ours
        state = {
            key.removeprefix("backbone."): value
            for key, value in state.items()
            if key.startswith("backbone.")
        }
    try:
        odd = backbone.load_state_dict(state, strict=False)
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise ContractError(f"weights {label} do not fit {name}: {detail}") from None
    surplus = {key.rpartition(".")[0] for key in odd.unexpected_keys}
    if odd.missing_keys or len(surplus) > 1:
        wrong = (odd.missing_keys or sorted(surplus))[0]
        raise ContractError(
            f"weights {label} are not of {name} ({wrong!r} does not match); name the backbone "
            "they were trained with."
        )


def pixel_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and standard deviation that a network's published weights were trained with."""
    try:
        preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    except (ValueError, AttributeError):
        return IMAGENET_MEAN, IMAGENET_STD
    return tuple(preset.mean), tuple(preset.std)
