"""One deployed service for all end-to-end tests."""

from collections.abc import Iterator

import pytest
from tests.e2e.stage import HYPERPARAMETERS, Stage


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(build=tmp_path_factory.mktemp("kennel") / "build")
    try:
        stage.make("data")
        stage.make("train", HYPERPARAMETERS)
        stage.make("package")
        stage.make("apply")
        yield stage
    finally:
        stage.make("local-down")
