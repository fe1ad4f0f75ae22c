"""How calls of Application Auto Scaling name a target, and how they are refused."""

from collections.abc import Mapping
from typing import Any

from localaws.core import AwsError, Call

Record = dict[str, Any]
Key = tuple[str, str, str]
"""Service namespace, resource ID, scalable dimension."""


def key_of(params: Mapping[str, Any]) -> Key:
    """Which target a call is about."""
    return params["ServiceNamespace"], params["ResourceId"], params["ScalableDimension"]


def matching(call: Call, records: list[Record]) -> list[Record]:
    """Those of the target, or the targets, that a call names."""
    names = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    asked = {name: call.params[name] for name in names if call.params.get(name)}
    return [r for r in records if all(r[name] == value for name, value in asked.items())]


def invalid(message: str) -> AwsError:
    """A call that cannot be right."""
    return AwsError("ValidationException", message)


def missing(message: str) -> AwsError:
    """A call about something that is not there."""
    return AwsError("ObjectNotFoundException", message)
