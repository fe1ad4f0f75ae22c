"""Asks a role's policies about every action that AWS has, and writes down what they allow.

An action is asked about on a set of ARNs (ours, others', other accounts', other regions') and
with every combination of right, wrong and absent values of the condition keys that its policies
look at. The answers come from the evaluator of the local AWS.
"""

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from tests.infra.access.contexts import contexts, instance, when
from tests.infra.access.definition import PLACEHOLDER, Action, actions, covered

from localaws.iam.evaluator import Document, Policies, Question, refusal
from localaws.iam.matching import Context, as_list, like


@dataclass(frozen=True, kw_only=True)
class World:
    """What there is to ask about."""

    account: Mapping[str, str]
    region: Mapping[str, str]
    default: Sequence[str]
    services: Sequence[str]
    names: Mapping[str, Mapping[str, Sequence[str]]]
    arns: Mapping[str, str]
    _filled: dict[str, list[str]] = field(default_factory=dict)

    def filled(self, pattern: str) -> list[str]:
        """An ARN pattern of the reference with every combination of names."""
        if pattern not in self._filled:
            self._filled[pattern] = list(self._fill(self.arns.get(pattern, pattern)))
        return self._filled[pattern]

    def _fill(self, pattern: str) -> Iterator[str]:
        own = {"Partition": "aws", "Account": self.account["own"], "Region": self.region["own"]}
        places = [own, {**own, "Account": self.account["other"]}]
        places.append({**own, "Region": self.region["other"]})
        names = self.names.get(pattern.split(":")[2], {})
        blanks = [name for name in PLACEHOLDER.findall(pattern) if name not in own]
        found: dict[str, None] = {}
        for place in places:
            for values in itertools.product(*(names.get(b, self.default) for b in blanks)):
                filling = iter(values)
                fill = functools.partial(_fill_one, place, filling)
                found[PLACEHOLDER.sub(fill, pattern)] = None
        yield from found


def _fill_one(place: Mapping[str, str], filling: Iterator[str], found: re.Match[str]) -> str:
    return place.get(found[1]) or next(filling)


def read_world() -> World:
    """The world of world.yaml."""
    return World(**yaml.safe_load(Path(__file__).with_name("world.yaml").read_text()))


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one principal may do."""

    world: World
    principal_arn: str
    identity: Sequence[Document]
    boundary: Sequence[Document] | None = None
    resource: Document | None = None
    """The policy of the thing itself."""

    arn: str | None = None
    """The one thing to ask about; None is everything in the world."""

    def candidates(self, effect: str = "Allow") -> list[str]:
        """Actions that some statement speaks of; all others are refused everywhere."""
        found: set[str] = set()
        for statement in self._statements():
            if statement["Effect"] == effect:
                for pattern in as_list(statement.get("Action")):
                    found |= covered(pattern)
        return sorted(found)

    def allows(self, action: str, arn: str, given: Context | None = None) -> bool:
        """Whether an action is allowed on a resource in some context, or one with given keys."""
        asked = self._about(action)
        return any(
            asked._allowed(action, arn, {**context, **(given or {})})
            for context in contexts(asked._statements(), actions()[action])
        )

    def lines(self, action: str, *, allowed: bool = True) -> list[str]:
        """Where and when an action is allowed, or refused; nothing when it is so nowhere."""
        asked, known = self._about(action), actions()[action]
        tried = contexts(asked._statements(), known)
        arns = asked.arns(known)
        everything = tuple(range(len(tried)))
        answers: dict[Any, tuple[int, ...]] = {}
        found: dict[tuple[int, ...], list[str]] = {}
        for arn in arns:
            # ARNs that the same patterns cover get the same answers.
            alike = asked._covering(arn)
            if alike not in answers:
                answers[alike] = tuple(
                    i for i in everything if asked._allowed(action, arn, tried[i]) == allowed
                )
            if answers[alike]:
                found.setdefault(answers[alike], []).append(arn)
        lines = []
        for fits, where in found.items():
            words = "" if fits == everything else f" when {when(asked._statements(), tried, fits)}"
            places = ["everywhere"] if len(where) == len(arns) else sorted(where)
            lines += [f"{place}{words}" for place in places]
        return lines

    def arns(self, action: Action) -> list[str]:
        """What an action is asked about."""
        if self.arn is not None:
            return [self.arn]
        if not action.arn_patterns:
            return ["*"]
        arns = dict.fromkeys(arn for p in action.arn_patterns for arn in self.world.filled(p))
        shapes = [PLACEHOLDER.sub("*", pattern) for pattern in action.arn_patterns]
        for statement in self._statements():
            for pattern in as_list(statement.get("Resource")):
                arn = instance(pattern)
                if pattern != "*" and any(like(shape, arn) for shape in shapes):
                    arns[arn] = None
        return list(arns)

    def _covering(self, arn: str) -> Any:
        """The patterns that cover an ARN; with a variable in one, the ARN itself."""
        patterns = [str(p) for s in self._statements() for p in as_list(s.get("Resource"))]
        if any("${" in pattern for pattern in patterns):
            return arn
        return tuple(like(pattern, arn) for pattern in patterns)

    def _about(self, action: str) -> "Access":
        """The same with those statements only that speak of one action; no other can matter."""

        def short(documents: Sequence[Document]) -> list[Document]:
            return [_about(document, action) for document in documents]

        return replace(
            self,
            identity=short(self.identity),
            boundary=None if self.boundary is None else short(self.boundary),
            resource=None if self.resource is None else _about(self.resource, action),
        )

    def _allowed(self, action: str, arn: str, context: Context) -> bool:
        question = Question(
            principal_arn=self.principal_arn,
            account_id=self.world.account["own"],
            action=action,
            resource=arn,
            context=context,
        )
        policies = Policies(identity=self.identity, boundary=self.boundary, resource=self.resource)
        return refusal(question, policies) is None

    def _statements(self) -> Iterator[Mapping[str, Any]]:
        resource = () if self.resource is None else (self.resource,)
        for document in (*self.identity, *(self.boundary or ()), *resource):
            yield from as_list(document["Statement"])


def _about(document: Document, action: str) -> Document:
    statements = [
        statement
        for statement in as_list(document["Statement"])
        if "NotAction" in statement
        or any(action in covered(pattern) for pattern in as_list(statement["Action"]))
    ]
    return {**document, "Statement": statements}
