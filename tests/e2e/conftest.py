"""One deployed service for all end-to-end tests."""

from collections.abc import Iterator

import pytest
from tests.e2e.killing import Kills, apply_with_kills
from tests.e2e.stage import HYPERPARAMETERS, Stage


@pytest.fixture(scope="session")
def kills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kills]:
    """A first deployment whose applies are killed one after the other, until one is let."""
    stage = Stage(build=tmp_path_factory.mktemp("kennel") / "build")
    try:
        stage.make("data")
        stage.make("train", HYPERPARAMETERS)
        stage.make("package")
        stage.make("local-up")
        yield apply_with_kills(stage)
    finally:
        stage.make("local-down")


@pytest.fixture(scope="session")
def deployed(kills: Kills) -> Stage:
    """The service; made anew if the killed applies have spoilt it, so that one test fails."""
    if kills.code != 0:
        kills.stage.make("local-down")
        kills.stage.make("apply")
    return kills.stage
