"""Every action that AWS is known to have, from the definition that parliament carries."""

import functools
import json
import re
from dataclasses import dataclass
from typing import Any

from tests.infra.conftest import REPOSITORY

from localaws.iam.matching import like

PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
"""What a service's reference leaves open in an ARN."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One action, as the service authorization reference lists it."""

    name: str
    """For example s3:GetObject."""

    arn_patterns: tuple[str, ...]
    """ARNs that it may be about, with placeholders like ${BucketName}; none if it has no scope."""

    condition_keys: tuple[str, ...]
    """What AWS tells of its requests, besides the keys of every request."""


@functools.cache
def actions() -> dict[str, Action]:
    """Every known action by its name.

    Raises:
        FileNotFoundError: the environment of the audit tools is missing.
    """
    found = sorted(
        REPOSITORY.glob(".venv-audit/lib/*/site-packages/parliament/iam_definition.json")
    )
    if not found:
        raise FileNotFoundError(
            ".venv-audit has no parliament, whose list of actions is wanted; run `make setup`."
        )
    listed: dict[str, Action] = {}
    for service in json.loads(found[0].read_text()):
        for privilege in service["privileges"]:
            action = _action(service, privilege)
            listed[action.name] = _both(listed.get(action.name, action), action)
    return listed


def _action(service: dict[str, Any], privilege: dict[str, Any]) -> Action:
    arns = {resource["resource"]: resource["arn"] for resource in service["resources"]}
    kinds = [kind["resource_type"].rstrip("*") for kind in privilege["resource_types"]]
    return Action(
        name=f"{service['prefix']}:{privilege['privilege']}",
        arn_patterns=tuple(dict.fromkeys(arns[kind] for kind in kinds if kind in arns)),
        condition_keys=tuple(
            sorted({key for kind in privilege["resource_types"] for key in kind["condition_keys"]})
        ),
    )


def _both(one: Action, other: Action) -> Action:
    """An action that two services share, as two generations of API Gateway do."""
    return Action(
        name=one.name,
        arn_patterns=tuple(dict.fromkeys(one.arn_patterns + other.arn_patterns)),
        condition_keys=tuple(sorted({*one.condition_keys, *other.condition_keys})),
    )


@functools.cache
def covered(pattern: str) -> frozenset[str]:
    """Names of the known actions that a policy's Action entry covers."""
    service = pattern.split(":")[0]
    return frozenset(
        name
        for name in actions()
        if ("*" in service or name.startswith(f"{service.lower()}:"))
        and like(pattern, name, ignore_case=True)
    )
