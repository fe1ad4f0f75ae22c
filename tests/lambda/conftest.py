"""The handler as Lambda has it, freshly imported with an environment of its own."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.inference.conftest import base_folder, server

__all__ = ["base_folder", "load", "server"]
SOURCES = Path(__file__).parents[2] / "src" / "lambda"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Imports a fresh handler that calls the given address; its other modules hang on it."""
    loaded: list[Any] = []
    names = [file.stem for file in SOURCES.glob("*.py")]
    monkeypatch.syspath_prepend(str(SOURCES))

    def _load(url: str, timeout_seconds: int = 20, **variables: str) -> ModuleType:
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("ENDPOINT_NAME", "kennel-test")
        monkeypatch.setenv("ENDPOINT_TIMEOUT_SECONDS", str(timeout_seconds))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for name in names:
            sys.modules.pop(name, None)
        module = importlib.import_module("handler")
        loaded.append(module)
        return module

    yield _load
    for module in loaded:
        module.endpoint.session(module.endpoint.ENDPOINT_TIMEOUT_SECONDS).close()
    for name in names:
        sys.modules.pop(name, None)
