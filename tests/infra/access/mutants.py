"""Policies made wider, or narrower, one statement at a time."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.infra.access.definition import covered
from tests.infra.access.roles import Role

from localaws.iam.matching import as_list

Statement = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one statement."""

    what: str
    """In words: whose statement, and what became of it."""

    kind: str
    role: Role
    """The role with the changed statement."""

    touched: frozenset[str]
    """The actions that the statement speaks of, before or after."""


def of_policies(role: Role) -> Iterator[Mutant]:
    """Every mutant of every statement that a role has."""
    for policy, place, statement in role.statements:
        for kind, changed in changes(statement):
            what = f"{role.name}, {statement.get('Sid', place)}: {kind}"
            patterns = as_list(statement["Action"]) + as_list((changed or {}).get("Action"))
            yield Mutant(
                what=what,
                kind=kind,
                role=role.changed(policy, place, changed),
                touched=frozenset().union(*(covered(pattern) for pattern in patterns)),
            )


def changes(statement: Statement) -> Iterator[tuple[str, Statement | None]]:
    """What can become of a statement; None is that it goes."""
    yield "dropped statement", None
    resources = as_list(statement.get("Resource"))
    if resources and resources != ["*"]:
        yield "resource *", {**statement, "Resource": "*"}
    for index, resource in enumerate(resources):
        for part, kind in [(3, "any region"), (4, "any account")]:
            pieces = resource.split(":")
            if len(pieces) > 5 and pieces[part] not in ("", "*"):
                pieces[part] = "*"
                yield kind, {**statement, "Resource": _at(resources, index, ":".join(pieces))}
        if not resource.endswith("*"):
            wider = _at(resources, index, f"{resource}*")
            yield "any name that begins so", {**statement, "Resource": wider}
        if len(resources) > 1:
            yield "dropped resource", {**statement, "Resource": _at(resources, index)}
    yield from _of_actions(statement)
    yield from _of_conditions(statement)


def _of_actions(statement: Statement) -> Iterator[tuple[str, Statement]]:
    actions = as_list(statement["Action"])
    for service in sorted({action.split(":")[0] for action in actions}):
        if f"{service}:*" not in actions:
            yield f"action {service}:*", {**statement, "Action": [*actions, f"{service}:*"]}
    for index, action in enumerate(actions):
        if len(actions) > 1:
            yield f"dropped action {action}", {**statement, "Action": _at(actions, index)}


def _of_conditions(statement: Statement) -> Iterator[tuple[str, Statement]]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            dropped = copy.deepcopy(statement)
            del dropped["Condition"][operator][key]
            yield f"dropped condition {key}", dropped
            wider = copy.deepcopy(statement)
            truth = operator in ("Bool", "Null")
            more = ["true", "false"] if truth else [*as_list(values), "wider"]
            wider["Condition"][operator][key] = more
            yield f"one more value of {key}", wider


def of_trust(statement: Statement) -> Iterator[tuple[str, Statement | None]]:
    """What can become of a statement that names its principals."""
    yield from changes(statement)
    if statement["Principal"] != "*":
        yield "any principal", {**statement, "Principal": "*"}
        yield "any account", {**statement, "Principal": {"AWS": "*"}}
        stranger = {"AWS": "arn:aws:iam::999999999999:root"}
        principal = {**statement["Principal"], **stranger}
        yield "another account besides", {**statement, "Principal": principal}


def of_documents(
    document: dict[str, Any], kinds: Callable[[Statement], Iterator[tuple[str, Statement | None]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A document with one statement changed, and what became of it."""
    for place, statement in enumerate(document["Statement"]):
        for kind, changed in kinds(statement):
            statements = list(document["Statement"])
            statements[place : place + 1] = [] if changed is None else [changed]
            what = f"{statement.get('Sid', place)}: {kind}"
            yield what, {**document, "Statement": statements}


def _at(values: list[str], index: int, value: str | None = None) -> list[str]:
    return [*values[:index], *([] if value is None else [value]), *values[index + 1 :]]
