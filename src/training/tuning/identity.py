"""What makes two searches one: losses of other pictures, weights or code cannot be compared."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from contract.hyperparameters import Hyperparameters
from contract.model_card import file_sha256
from contract.search_space import SearchSpace

PACKAGES = ("contract", "training")


def study_name(space: SearchSpace, base: Hyperparameters, data_sha256: str, weights: str) -> str:
    """Of the study that a search belongs to.

    How many trials there are, their seed and the strategy do not matter: a search may go on with
    others. Nor do the searched values of `base`, which a search itself writes.
    """
    fixed = {name: value for name, value in asdict(base).items() if name not in space.space}
    facts = {
        "space": {name: asdict(searched) for name, searched in space.space.items()},
        "fixed": fixed,
        "data_sha256": data_sha256,
        "weights": weights_identity(weights),
        "code_sha256": code_sha256(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def weights_identity(weights: str) -> str:
    """The name, or the content of the file or folder."""
    path = Path(weights)
    if path.is_file():
        return file_sha256(path)
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else []
    return " ".join(file_sha256(file) for file in files) or weights


def code_sha256() -> str:
    """Of all that decides a trial's loss: the sources of training but for this package."""
    here = Path(__file__).parent
    sources = here.parents[1]
    files = [path for package in PACKAGES for path in (sources / package).rglob("*.py")]
    digest = hashlib.sha256()
    for path in sorted(path for path in files if here not in path.parents):
        digest.update(f"{path.relative_to(sources).as_posix()}\t{file_sha256(path)}\n".encode())
    return digest.hexdigest()
