"""The handler as Lambda has it, freshly imported with an environment of its own."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.inference.conftest import base_folder, server

__all__ = ["base_folder", "load", "server"]
SOURCE = Path(__file__).parents[2] / "src" / "lambda" / "handler.py"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Imports a fresh handler that calls the given address."""
    loaded: list[Any] = []

    def _load(url: str, timeout_seconds: int = 20) -> ModuleType:
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("ENDPOINT_NAME", "kennel-test")
        monkeypatch.setenv("ENDPOINT_TIMEOUT_SECONDS", str(timeout_seconds))
        spec = importlib.util.spec_from_file_location("handler", SOURCE)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "handler", module)
        spec.loader.exec_module(module)
        loaded.append(module)
        return module

    yield _load
    for module in loaded:
        module._client(module.ENDPOINT_TIMEOUT_SECONDS).close()
