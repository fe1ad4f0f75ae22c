"""The model archive, extracted: read and checked before anything in it is used."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.model_card import CARD_FILE, ModelCard, check_plain_file, read_card
from contract.strict import require

BESIDE = frozenset({"__pycache__", "code", "config.yaml", "deployment.py"})
"""What the archive has besides the card and its files: the code, and how AWS's Ray image starts."""
MAX_CODE_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """A model on disk whose files are the ones that its card describes."""

    card: ModelCard

    folder: Path
    """Holds model.json and the files it lists."""

    def golden_picture(self) -> bytes:
        """The picture whose answer the card knows."""
        return (self.folder / self.card.golden.file).read_bytes()


def open_archive(folder: Path) -> Archive:
    """Read a model's card and check its files: their kind first, then their hashes.

    Raises:
        ContractError: the card is missing, wrong or of another schema, a file is missing or
            altered, or something is there that does not belong to a model.
    """
    card = read_card(folder)
    known = {CARD_FILE, *card.files, *BESIDE}
    for name in sorted(path.name for path in folder.iterdir()):
        require(
            name in known,
            f"{folder / name} does not belong to the model: {CARD_FILE} does not list it. "
            "Package the model again.",
        )
    for path in _below(folder, BESIDE):
        check_plain_file(path, MAX_CODE_FILE_BYTES)
    return Archive(card=card, folder=folder)


def _below(folder: Path, names: frozenset[str]) -> Iterator[Path]:
    """Everything below these names that is no folder; links are not followed."""
    for name in sorted(names):
        top = folder / name
        if top.is_symlink() or not top.is_dir():
            yield from [top] if os.path.lexists(top) else []
            continue
        for parent, folders, files in os.walk(top):
            yield from (Path(parent) / file for file in files)
            yield from (Path(parent) / one for one in folders if (Path(parent) / one).is_symlink())
