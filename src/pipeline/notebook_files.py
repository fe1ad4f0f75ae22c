"""What the notebook instance copies from the bucket: the notebook, the contract, the settings."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.hyperparameters import read_hyperparameters
from contract.release import Artifact
from contract.search_space import read_search_space
from contract.stack import Stack
from pipeline.aws import Client
from pipeline.cli import Place

PREFIX = "notebooks/"
PROJECT_FILE = "project.json"
"""Where the notebook finds the code that its jobs run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Starts:
    """What the notebook's trainings begin with."""

    hyperparameters: Path
    search_space: Path


def upload_notebook(
    s3: Client,
    stack: Stack,
    place: Place,
    starts: Starts,
    code: Artifact,
    tell: Callable[[str], None],
) -> None:
    """Put the notebook into the bucket, with all that it needs but the pictures.

    Raises:
        ContractError: a file is missing or wrong; nothing was changed.
    """
    read_search_space(starts.search_space, read_hyperparameters(starts.hyperparameters))
    files = {
        "config/hyperparameters.json": starts.hyperparameters.read_bytes(),
        "config/search_space.json": starts.search_space.read_bytes(),
        "config/settings.tfvars.json": place.settings_file.read_bytes(),
        PROJECT_FILE: project(stack, code),
        "stack.json": json.dumps(dataclasses.asdict(stack), indent=2).encode(),
        **dict(sources(Path())),
    }
    for name, body in files.items():
        s3.put_object(Bucket=stack.bucket, Key=f"{PREFIX}{name}", Body=body)
    tell(f"Notebook: {len(files)} files at {PREFIX}; the instance copies them within 5 minutes.")


def project(stack: Stack, code: Artifact) -> bytes:
    """The content of project.json."""
    return json.dumps({"code_uri": f"s3://{stack.bucket}/{code.key}"}, indent=2).encode()


def sources(root: Path) -> Iterator[tuple[str, bytes]]:
    """The notebook, and the part of the contract that it reads settings with."""
    for file in sorted((root / "notebooks").iterdir()):
        if file.suffix in {".ipynb", ".yaml"}:
            yield file.name, file.read_bytes()
    for file in sorted((root / "src" / "contract").glob("*.py")):
        yield f"src/contract/{file.name}", file.read_bytes()
