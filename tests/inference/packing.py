"""Packs a model as `make package` does, and unpacks it as SageMaker does."""

import tarfile
from pathlib import Path

from pipeline.package import package_model

ROOT = Path(__file__).parents[2]


def unpack(build: Path, folder: Path) -> None:
    """Pack the model in build/model, and lay the archive out in a folder.

    Args:
        build: holds `model/`.
        folder: becomes what a container has as /opt/ml/model.
    """
    package_model(ROOT, build)
    with tarfile.open(build / "model.tar.gz") as tar:
        tar.extractall(folder, filter="data")
