"""The model archive, extracted: read and checked before anything in it is used."""

from dataclasses import dataclass
from pathlib import Path

from contract.model_card import ModelCard, read_card


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
    """Read a model's card and check its files' hashes.

    Raises:
        ContractError: the card is missing, wrong or of another schema, or a file is missing or
            altered.
    """
    return Archive(card=read_card(folder), folder=folder)
