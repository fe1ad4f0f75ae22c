"""Which route of an HTTP API a request takes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT = "$default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """One HTTP API, as its records say."""

    api_id: str
    integrations: Mapping[str, Mapping[str, Any]]
    """By id."""
    routes: Sequence[Mapping[str, Any]]
    stages: Mapping[str, Mapping[str, Any]]
    """By name."""

    def stage_of(self, path: str) -> tuple[str, str]:
        """The stage that a path begins with, and the rest of the path."""
        first, _, rest = path.removeprefix("/").partition("/")
        return (first, f"/{rest}") if first in self.stages else (DEFAULT, path)

    def route_of(self, method: str, path: str) -> Mapping[str, Any] | None:
        """The route that fits best: plain paths before variables, a method before ANY."""
        fitting = [route for route in self.routes if _fits(route["RouteKey"], method, path)]
        return min(fitting, key=lambda route: _rank(route["RouteKey"]), default=None)


def _fits(key: str, method: str, path: str) -> bool:
    if key == DEFAULT:
        return True
    wanted, _, pattern = key.partition(" ")
    parts = (_part(part) for part in pattern.split("/"))
    return wanted in ("ANY", method) and re.fullmatch("/".join(parts), path) is not None


def _part(part: str) -> str:
    if part.startswith("{"):
        return ".+" if part.endswith("+}") else "[^/]+"
    return re.escape(part)


def _rank(key: str) -> tuple[bool, bool, bool, bool]:
    return (key == DEFAULT, "+}" in key, "{" in key, key.startswith("ANY "))
