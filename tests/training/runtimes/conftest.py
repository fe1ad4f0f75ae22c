"""A tiny network, trained and exported once, and copies of it to be changed."""

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tests.training.conftest import QUICK, make_folder
from torch import Tensor

from contract.model_card import WEIGHTS_FILE, ModelCard, file_sha256, read_card, write_card
from training.main import main as train
from training.runtimes.__main__ import main

TIMES = [30.0, 20.0, 10.0]
"""What the exported model's runtimes seem to take, in milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model's folder, and its pictures'."""

    folder: Path
    data: Path
    cache: Path

    @property
    def card(self) -> ModelCard:
        """As it is now."""
        return read_card(self.folder)

    @property
    def content(self) -> dict[str, bytes]:
        """Every file."""
        return {file.name: file.read_bytes() for file in self.folder.iterdir()}

    def export(self, *options: str, data: Path | None = None) -> int:
        """Run the verb on it."""
        folders = [f"--data={data or self.data}", f"--model-dir={self.folder}"]
        return main([*folders, f"--cache-dir={self.cache}", *options])

    def change_weights(self, change: Callable[[dict[str, Tensor]], None]) -> None:
        """Write other weights, and a card that says so."""
        card, file = self.card, self.folder / WEIGHTS_FILE
        tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
        change(tensors)
        save_file(tensors, file)
        files = card.files | {WEIGHTS_FILE: file_sha256(file)}
        write_card(dataclasses.replace(card, files=files), self.folder)


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Trained, not exported; to be left as it is."""
    root = tmp_path_factory.mktemp("runtimes")
    make_folder(root / "data", train=12, valid=8, test=4)
    folders = {"data": "data", "model-dir": "model", "output-dir": "output", "cache-dir": "cache",
               "checkpoint-dir": "checkpoints"}  # fmt: skip
    arguments = [f"--{name}={root / home}" for name, home in folders.items()]
    assert train([*arguments, *QUICK, "--epochs=3"]) == 0
    return Model(folder=root / "model", data=root / "data", cache=root / "cache")


@pytest.fixture(scope="session")
def exported(origin: Model) -> Model:
    """Exported with its pictures; to be left as it is."""
    model = dataclasses.replace(origin, folder=origin.folder.with_name("exported"))
    shutil.copytree(origin.folder, model.folder)
    with pytest.MonkeyPatch.context() as patch:
        # By the clock of a busy machine, any of these tiny networks may be the slowest.
        patch.setattr(
            "training.runtimes.export.time_on_one_core", lambda ways, _: TIMES[: len(ways)]
        )
        assert model.export() == 0
    return model


@pytest.fixture
def trained(origin: Model, tmp_path: Path) -> Model:
    """A copy that was not exported yet."""
    shutil.copytree(origin.folder, tmp_path / "model")
    return dataclasses.replace(origin, folder=tmp_path / "model")


@pytest.fixture
def copied(exported: Model, tmp_path: Path) -> Model:
    """A copy that was exported."""
    shutil.copytree(exported.folder, tmp_path / "model")
    return dataclasses.replace(exported, folder=tmp_path / "model")
