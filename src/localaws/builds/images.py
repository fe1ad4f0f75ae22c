"""What stands for an image on a machine without Docker: this computer's own Python packages."""

import hashlib
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from localaws.core import LocalAws
from localaws.roles import role_client

_LAYERS = (
    "BatchCheckLayerAvailability",
    "InitiateLayerUpload",
    "UploadLayerPart",
    "CompleteLayerUpload",
)


class BuildError(Exception):
    """The build cannot go on; the message says why."""


def check_image(folder: Path) -> list[str]:
    """See that this computer's Python is what the Dockerfile in a folder would make.

    Returns:
        What was looked at, for the log.

    Raises:
        BuildError: there is no Dockerfile, it installs nothing, or a package is missing or of
            another version.
    """
    file = folder / "Dockerfile"
    if not file.is_file():
        raise BuildError("failed to read dockerfile: open Dockerfile: no such file or directory")
    steps = _steps(file.read_text(encoding="utf-8"))
    base = next((step.split()[1] for step in steps if step.startswith("FROM ")), None)
    copied = [step.split()[1] for step in steps if step.startswith("COPY ")]
    if base is None or not copied:
        raise BuildError("the Dockerfile has no FROM, or copies no requirements")
    for name in copied:
        _check_packages(folder, name)
    return [
        f"Python {platform.python_version()} of this computer stands for {base}",
        f"It has every package of {', '.join(copied)}, in these versions",
    ]


def push_image(aws: LocalAws, role_arn: str, session: str, address: str, folder: Path) -> str:
    """Write an image's name into ECR, with the rights of a role.

    Returns:
        A line for the log.

    Raises:
        BuildError: the role may not, or the repository does not take it.
    """
    registry, _, name = address.partition("/")
    repository, _, tag = name.partition(":")
    where = {"registryId": registry.partition(".")[0], "repositoryName": repository}
    for operation in _LAYERS:
        if not aws.may(role_arn, session, "ecr", operation, where):
            raise BuildError(f"denied: the role may not ecr:{operation} on {repository}")
    ecr = role_client(aws, "ecr", role_arn, session)
    try:
        ecr.put_image(
            repositoryName=repository, imageTag=tag, imageManifest=json.dumps(_manifest(folder))
        )
    except ecr.exceptions.ClientError as error:
        said = error.response["Error"]
        raise BuildError(f"{said['Code']}: {said.get('Message', '')}") from None
    return f"{address} is in ECR, as a name: nothing but this computer's Python is behind it"


def _manifest(folder: Path) -> dict[str, Any]:
    """A manifest that is the same for the same files."""
    kind = "application/vnd.docker"
    content = b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    blob = {"digest": digest, "size": len(content)}
    return {
        "schemaVersion": 2,
        "mediaType": f"{kind}.distribution.manifest.v2+json",
        "config": {"mediaType": f"{kind}.container.image.v1+json", **blob},
        "layers": [{"mediaType": f"{kind}.image.rootfs.diff.tar.gzip", **blob}],
    }


def _steps(text: str) -> list[str]:
    """The instructions of a Dockerfile, each on one line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def _check_packages(folder: Path, name: str) -> None:
    """Let pip compare a lock with what this computer has; nothing is installed."""
    if not (folder / name).is_file():
        raise BuildError(f'failed to compute cache key: "/{name}": not found')
    options = ("--dry-run", "--no-index", "--no-deps", "--require-hashes", "--no-input", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *options, "--requirement", name]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if ran.returncode != 0:
        said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR: ")]
        raise BuildError(
            "this computer stands for the image, and its Python does not have what the image "
            f"would: {' '.join(said[:1])} `make setup` installs it."
        )
