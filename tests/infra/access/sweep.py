"""Asks a role's policies about every action that AWS has, and writes down what they allow.

An action is asked about on a set of ARNs (ours, others', other accounts', other regions') and
with every combination of right, wrong and absent values of the condition keys that its policies
look at. The answers come from the evaluator of the local AWS.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.infra.access.definition import Action, actions, covered

from localaws.iam.evaluator import Document, Policies, Question, refusal
from localaws.iam.matching import Context, as_list, like

PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
TAG_KEYS = ("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys")
"""Keys that look global and are not: AWS gives them for some actions only."""


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
        contexts = self._contexts(actions()[action])
        return any(self._allowed(action, arn, {**c, **(given or {})}) for c in contexts)

    def lines(self, action: str, *, allowed: bool = True) -> list[str]:
        """Where and when an action is allowed, or refused; nothing when it is so nowhere."""
        known = actions()[action]
        contexts = self._contexts(known)
        arns = self.arns(known)
        everything = tuple(range(len(contexts)))
        found: dict[tuple[int, ...], list[str]] = {}
        for arn in arns:
            fits = tuple(
                i for i in everything if self._allowed(action, arn, contexts[i]) == allowed
            )
            if fits:
                found.setdefault(fits, []).append(arn)
        lines = []
        for fits, where in found.items():
            when = "" if fits == everything else f" when {self._when(contexts, fits)}"
            places = ["everywhere"] if len(where) == len(arns) else sorted(where)
            lines += [f"{place}{when}" for place in places]
        return lines

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

    def _contexts(self, action: Action) -> list[Context]:
        values: dict[str, dict[str, None]] = {}
        for key, operator, wanted in self._conditions():
            if _given(key.lower(), action):
                values.setdefault(key.lower(), {}).update(_around(operator, wanted))
        choices = [[(key, v) for v in (None, *tried)] for key, tried in sorted(values.items())]
        return [
            {key: [value] for key, value in choice if value is not None}
            for choice in itertools.product(*choices)
        ]

    def _conditions(self) -> Iterator[tuple[str, str, Any]]:
        for statement in self._statements():
            for operator, keys in statement.get("Condition", {}).items():
                for key, wanted in keys.items():
                    yield key, operator, wanted

    def _when(self, contexts: Sequence[Context], fits: Iterable[int]) -> str:
        """The contexts in words, by the keys that matter."""
        keys = sorted({key for context in contexts for key in context})
        chosen = [contexts[i] for i in fits]
        for key in list(keys):
            rest = [k for k in keys if k != key]
            without = {_values(context, rest) for context in chosen}
            choices = {_values(context, [key]) for context in contexts}
            if len(without) * len(choices) == len({_values(c, keys) for c in chosen}):
                keys = rest
        told = sorted({_values(context, keys) for context in chosen})
        names = {key.lower(): key for key, _, _ in self._conditions()}
        if len(keys) == 1:
            return f"{names[keys[0]]} is {' or '.join(value for (value,) in told)}"
        cases = (
            " and ".join(f"{names[k]} is {v}" for k, v in zip(keys, case, strict=True))
            for case in told
        )
        return ", or ".join(cases)


def instance(pattern: str) -> str:
    """Something that a policy's pattern covers."""
    if ":logs:" in pattern and ":log-stream:" not in pattern:
        pattern = re.sub(r":\*$", ":log-stream:*", pattern)
    return pattern.replace("*", "any").replace("?", "a")


def _given(key: str, action: Action) -> bool:
    """Whether AWS gives a condition key with the requests of an action."""
    if key.startswith("aws:") and not key.startswith(TAG_KEYS):
        return True
    return any(like(PLACEHOLDER.sub("*", k.lower()), key) for k in action.condition_keys)


def _around(operator: str, wanted: Any) -> dict[str, None]:
    """Values for a condition key: those that the policy wants, and some that it does not."""
    texts = [instance(str(value)) for value in as_list(wanted)]
    name = operator.lower()
    if "bool" in name or name.endswith("null"):
        texts = ["true", "false"]
    elif "numeric" in name:
        texts += [str(float(text) + step) for text in texts for step in (-1, 1)]
    return dict.fromkeys([*texts, "other"])


def _values(context: Context, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(context[key][0] if key in context else "absent" for key in keys)
