"""Reads the samples of this folder, for every test that sends requests."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One request and its answer."""

    name: str
    description: str
    request: dict[str, Any]
    """endpoint-*: {"headers", "body"}; function-*: the event. Pictures are filled in."""
    expected: dict[str, Any]
    """{"status"} and, for errors, {"code"}; for answers optionally {"predictions"}: how many; for
    lists {"results"}: for each picture how many predictions, or an error's code."""


def picture(name: str) -> bytes:
    """A file of the folder pictures/."""
    return (FOLDER / "pictures" / name).read_bytes()


def samples(kind: str) -> list[Sample]:
    """All samples whose file is called <kind>-*.json, by name.

    Args:
        kind: `endpoint`, `function` or `off`.
    """
    found = []
    for path in sorted(FOLDER.glob(f"{kind}-*.json")):
        raw = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            Sample(
                name=path.stem,
                description=raw["description"],
                request=_filled(raw["request"]),
                expected=raw["expected"],
            )
        )
    return found


def body_bytes(sample: Sample) -> bytes:
    """The body of an endpoint sample."""
    body = sample.request["body"]
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def outcomes(results: list[dict[str, Any]]) -> list[int | str]:
    """For each picture of a list: how many predictions, or the error's code."""
    return [
        result["error"]["code"] if "error" in result else len(result["predictions"])
        for result in results
    ]


def _filled(value: Any) -> Any:
    """Replace {"$bytes": file}, {"$base64": file}, {"$json": value} and {"$lines": texts}."""
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$bytes"}:
        return picture(value["$bytes"])
    if set(value) == {"$base64"}:
        return base64.b64encode(picture(value["$base64"])).decode()
    if set(value) == {"$json"}:
        return json.dumps(_filled(value["$json"]))
    if set(value) == {"$lines"}:
        return "\n".join(_filled(value["$lines"])) + "\n"
    return {key: _filled(item) for key, item in value.items()}
