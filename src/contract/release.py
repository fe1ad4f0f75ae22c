"""build/release.tfvars.json: the three archives that a deployment is made of."""

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

from contract.strict import parse, read_json, require

VERSION_DIGITS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One archive in the bucket."""

    key: str
    """`<kind>/<sha256>/<file>`; never overwritten."""

    sha256: str
    """64 lowercase hex digits."""

    def __post_init__(self) -> None:
        require(
            re.fullmatch(r"[0-9a-f]{64}", self.sha256) is not None,
            'sha256 must be 64 lowercase hex digits, as printed by "make package".',
        )
        require(
            re.fullmatch(rf"[a-z]+/{self.sha256}/[a-z.]+", self.key) is not None,
            f"key is {self.key!r}; it must be <kind>/{self.sha256}/<file>.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What is deployed together."""

    function: Artifact
    """function.zip: the Lambda function."""

    model: Artifact
    """model.tar.gz: weights, card and serving code."""

    training: Artifact
    """training.tar.gz: the code that trained it."""

    @property
    def version(self) -> str:
        """What replies carry as `model_version`."""
        return self.model.sha256[:VERSION_DIGITS]

    @property
    def name(self) -> str:
        """What serves, as people call it: the model's version and the function's first digits."""
        return f"{self.version}/{self.function.sha256[:6]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _ReleaseFile:
    release: Release


def write_release(release: Release, path: Path) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps({"release": dataclasses.asdict(release)}, indent=2) + "\n")
    temporary.replace(path)


def read_release(path: Path) -> Release:
    """Read and check a release file.

    Raises:
        ContractError: the file is missing or wrong.
    """
    return parse(_ReleaseFile, read_json(path, "`make package`"), path.name).release
