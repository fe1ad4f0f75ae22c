"""One packed model and one running server for all tests that leave them as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.inference.model import add_code, build_model
from tests.inference.serving import Server, serving


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a container has as /opt/ml."""
    base = tmp_path_factory.mktemp("opt-ml")
    build_model(base / "model")
    add_code(base / "model")
    return base


@pytest.fixture(scope="session")
def server(base_folder: Path) -> Iterator[Server]:
    """A running server; do not harm it."""
    with serving(base_folder) as running:
        running.wait_for("ready")
        yield running
