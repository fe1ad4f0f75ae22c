"""Aliases that share their callers out between two versions, under AWS's rules."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply
from localaws.forward import ask_records
from localaws.functions.records import not_found, split_name

ALIKE = ("DeadLetterConfig", "Role")
"""What both versions of an alias must have in common."""


class Aliases:
    """Checks weights before moto writes them down."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self.handlers: Mapping[Operation, Handler] = {
            ("lambda", "CreateAlias"): self._create,
            ("lambda", "UpdateAlias"): self._update,
        }

    def _create(self, call: Call) -> Reply:
        self._check(call, call.params["FunctionVersion"])
        return wire.result(call, ask_records(self._aws, call))

    def _update(self, call: Call) -> Reply:
        version = call.params.get("FunctionVersion")
        if version is None:
            where = {"FunctionName": call.params["FunctionName"], "Name": call.params["Name"]}
            version = ask_records(self._aws, replace(call, operation="GetAlias"), where)[
                "FunctionVersion"
            ]
        self._check(call, version)
        return wire.result(call, ask_records(self._aws, call))

    def _check(self, call: Call, version: str) -> None:
        weights = (call.params.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        if not weights:
            return
        name, _ = split_name(call.params["FunctionName"])
        if len(weights) > 1:
            raise _invalid("An alias can have one additional version.")
        additional = next(iter(weights))
        if version == "$LATEST" or additional == "$LATEST":
            raise _invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        if additional == version:
            raise _invalid(
                f"Invalid function version {version}. Function version {version} is already "
                "included in routing configuration."
            )
        first, second = (self._settings(name, one) for one in (version, additional))
        if first != second:
            raise _invalid(
                f"Versions {version} and {additional} must have the same execution role and the "
                "same dead-letter queue to share an alias."
            )

    def _settings(self, name: str, version: str) -> list[Any]:
        client = self._aws.client("lambda")
        try:
            found = client.get_function_configuration(FunctionName=name, Qualifier=version)
        except client.exceptions.ResourceNotFoundException:
            raise not_found(self._aws, f"{name}:{version}") from None
        return [found.get(key) for key in ALIKE]


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, 400, {"Type": "User"})
