"""Turns untrusted JSON into frozen dataclasses, or says exactly what is wrong with it."""

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


class ContractError(ValueError):
    """Something crossed a border in the wrong shape; the message says what to do."""


def require(holds: bool, message: str) -> None:
    """Raise ContractError with ``message`` unless ``holds``."""
    if not holds:
        raise ContractError(message)


def read_json(path: Path, made_by: str) -> Any:
    """Parse a JSON file.

    Args:
        path: the file.
        made_by: what makes it, as a person would type it; named when it is missing.

    Raises:
        ContractError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ContractError(f"{path} does not exist; {made_by} makes it.") from None
    except (ValueError, RecursionError) as error:  # also numbers too long and lists too deep
        raise ContractError(f"{path} is not JSON: {error}.") from None


def parse(kind: type[T], value: Any, where: str) -> T:
    """Check ``value`` against a frozen dataclass and build it.

    Args:
        kind: the dataclass; nested ones, unions with None, Literal, tuple[X, ...] and
            dict[str, X] are understood.
        value: what ``json.loads`` returned.
        where: how messages call it, for example ``config/local.tfvars.json``.

    Raises:
        ContractError: a key is unknown or missing, or a value is of the wrong kind or range.
    """
    return typing.cast(T, _parse(kind, value, where))


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in inner:
            return None
        return _parse(next(k for k in inner if k is not type(None)), value, where)
    if origin is typing.Literal:
        require(value in inner, f"{where} is {value!r}; it must be one of {_list(inner)}.")
        return value
    if origin is tuple:
        require(isinstance(value, list), f"{where} is {_shown(value)}; it must be a list.")
        return tuple(_parse(inner[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        require(isinstance(value, dict), f"{where} is {_shown(value)}; it must be an object.")
        return {key: _parse(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        require(abs(value) < 2**1023, f"{where} is {_shown(value)}; it is too large a number.")
        return float(value)
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    require(right, f"{where} is {_shown(value)}; it must be {_KINDS[kind]}.")
    return value


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    require(isinstance(value, Mapping), f"{where} is {_shown(value)}; it must be an object.")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it may hold {_list(sorted(fields))}."
            raise ContractError(f"{where} has an unknown key {key!r}; {hint}")
    for name, field in fields.items():
        optional = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        require(name in value or optional, f"{where} lacks the key {name!r}.")
    parsed = {key: _parse(hints[key], item, f"{where}.{key}") for key, item in value.items()}
    try:
        return kind(**parsed)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None


def _list(items: typing.Iterable[Any]) -> str:
    return ", ".join(str(item) for item in items)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
