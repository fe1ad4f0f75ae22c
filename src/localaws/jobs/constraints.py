"""The constraints that AWS writes into its own service model, asked in AWS's own words.

boto3 checks names and kinds in the client; lengths, patterns and enumerations are left to the
service.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from localaws.core import AwsError, Call

_UNKNOWN_PATTERN = r"\p"
"""Classes of Unicode, which Python's re does not know."""


def check(call: Call) -> None:
    """Compare a request with its shape in the service model.

    Raises:
        AwsError: something is too long, too short, too large, too small, or none of a list.
    """
    from moto.core.utils import get_service_model

    shape = get_service_model(call.service).operation_model(call.operation).input_shape
    errors = list(_errors(shape, call.params, ""))
    if errors:
        plural = "s" if len(errors) > 1 else ""
        message = f"{len(errors)} validation error{plural} detected: {'; '.join(errors)}"
        raise AwsError("ValidationException", message)


def _errors(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    for constraint in _broken(shape.metadata, kind, value):
        yield (
            f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: Member must "
            f"{constraint}"
        )
    if kind == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield (
                    f"Value null at '{_join(path, name)}' failed to satisfy constraint: "
                    "Member must not be null"
                )
        for name, inner in value.items():
            if name in shape.members and inner is not None:
                yield from _errors(shape.members[name], inner, _join(path, name))
    elif kind == "list":
        for number, inner in enumerate(value, 1):
            yield from _errors(shape.member, inner, f"{path}.{number}.member")
    elif kind == "map":
        for name, inner in value.items():
            yield from _errors(shape.value, inner, f"{path}.{name}")


def _broken(metadata: Mapping[str, Any], kind: str, value: Any) -> Iterator[str]:
    least, most = metadata.get("min"), metadata.get("max")
    if kind in ("string", "list", "map", "blob"):
        if least is not None and len(value) < least:
            yield f"have length greater than or equal to {least}"
        if most is not None and len(value) > most:
            yield f"have length less than or equal to {most}"
    elif kind in ("integer", "long", "float", "double"):
        if least is not None and value < least:
            yield f"have value greater than or equal to {least}"
        if most is not None and value > most:
            yield f"have value less than or equal to {most}"
    if kind != "string":
        return
    pattern = metadata.get("pattern")
    if pattern and _UNKNOWN_PATTERN not in pattern and not re.fullmatch(pattern, value):
        yield f"satisfy regular expression pattern: {pattern}"
    if metadata.get("enum") and value not in metadata["enum"]:
        yield f"satisfy enum value set: [{', '.join(metadata['enum'])}]"


def _join(path: str, name: str) -> str:
    own = name[0].lower() + name[1:]
    return f"{path}.{own}" if path else own


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)
