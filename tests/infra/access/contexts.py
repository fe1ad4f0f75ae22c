"""What requests may say besides their action and resource, and how to tell it in words."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.infra.access.definition import PLACEHOLDER, Action

from localaws.iam.matching import Context, as_list, like

TAG_KEYS = ("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys")
"""Keys that look global and are not: AWS gives them for some actions only."""
Statement = Mapping[str, Any]


def instance(pattern: str) -> str:
    """Something that a policy's pattern covers."""
    if ":logs:" in pattern and ":log-stream:" not in pattern:
        pattern = re.sub(r":\*$", ":log-stream:*", pattern)
    return pattern.replace("*", "any").replace("?", "a")


def contexts(statements: Iterable[Statement], action: Action) -> list[Context]:
    """Every combination of values, right, wrong or absent, of the keys that statements look at."""
    values: dict[str, dict[str, None]] = {}
    for key, operator, wanted in _conditions(statements):
        if _given(key.lower(), action):
            values.setdefault(key.lower(), {}).update(_around(operator, wanted))
    choices = [[(key, v) for v in (None, *tried)] for key, tried in sorted(values.items())]
    return [
        {key: [value] for key, value in choice if value is not None}
        for choice in itertools.product(*choices)
    ]


def _conditions(statements: Iterable[Statement]) -> Iterator[tuple[str, str, Any]]:
    for statement in statements:
        for operator, keys in statement.get("Condition", {}).items():
            for key, wanted in keys.items():
                yield key, operator, wanted


def _given(key: str, action: Action) -> bool:
    """Whether AWS gives a condition key with the requests of an action."""
    if key.startswith("aws:") and not key.startswith(TAG_KEYS):
        return True
    return any(like(PLACEHOLDER.sub("*", k.lower()), key) for k in action.condition_keys)


def _around(operator: str, wanted: Any) -> dict[str, None]:
    """Values for a condition key: those that the policy wants, and some that it does not."""
    texts = [instance(str(value)) for value in as_list(wanted)]
    name = operator.lower()
    if name.endswith("null"):
        texts = []
    elif "bool" in name:
        texts = ["true", "false"]
    elif "numeric" in name:
        texts += [str(float(text) + step) for text in texts for step in (-1, 1)]
    return dict.fromkeys([*texts, "other"])


def when(statements: Iterable[Statement], tried: Sequence[Context], fits: Iterable[int]) -> str:
    """The contexts that fit, in words: as few keys as tell them, and as few cases."""
    names = {key.lower(): key for key, _, _ in _conditions(statements)}
    keys = sorted({key for context in tried for key in context})
    rows = [tuple((context.get(key) or ["absent"])[0] for key in keys) for context in tried]
    wanted = {rows[i] for i in fits}
    cases: list[dict[str, list[str]]] = []
    left = set(wanted)
    for count in range(len(keys) + 1):
        for chosen in itertools.combinations(range(len(keys)), count):
            for case in sorted({tuple(row[k] for k in chosen) for row in left}):
                covered = {row for row in rows if tuple(row[k] for k in chosen) == case}
                if covered <= wanted and covered & left:
                    left -= covered
                    _add(cases, dict(zip((keys[k] for k in chosen), case, strict=True)))
    return ", or ".join(
        " and ".join(f"{names[key]} is {' or '.join(values)}" for key, values in case.items())
        for case in cases
    )


def _add(cases: list[dict[str, list[str]]], new: Mapping[str, str]) -> None:
    """One more case; where it differs from another in one value only, that gets one more."""
    for case in cases:
        if list(case) == list(new):
            other = [key for key, value in new.items() if value not in case[key]]
            if len(other) == 1 and all(len(case[key]) == 1 for key in new if key != other[0]):
                case[other[0]].append(new[other[0]])
                return
    cases.append({key: [value] for key, value in new.items()})
