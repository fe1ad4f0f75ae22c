"""The Condition block of a policy statement."""

import base64
import ipaddress
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from localaws.iam.matching import Context, arn_like, as_list, fill, like

Test = Callable[[str, str], bool]
"""Compares what the policy wants with what the request has."""


def _number(compare: Callable[[float, float], bool]) -> Test:
    return lambda wanted, got: compare(float(got), float(wanted))


def _date(compare: Callable[[float, float], bool]) -> Test:
    return lambda wanted, got: compare(_seconds(got), _seconds(wanted))


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _address(wanted: str, got: str) -> bool:
    return ipaddress.ip_address(got) in ipaddress.ip_network(wanted, strict=False)


def _binary(wanted: str, got: str) -> bool:
    return base64.b64decode(wanted) == base64.b64decode(got)


_TESTS: Mapping[str, Test] = {
    "arnequals": arn_like,
    "arnlike": arn_like,
    "binaryequals": _binary,
    "bool": lambda wanted, got: wanted.lower() == got.lower(),
    "dateequals": _date(lambda got, wanted: got == wanted),
    "dategreaterthan": _date(lambda got, wanted: got > wanted),
    "dategreaterthanequals": _date(lambda got, wanted: got >= wanted),
    "datelessthan": _date(lambda got, wanted: got < wanted),
    "datelessthanequals": _date(lambda got, wanted: got <= wanted),
    "ipaddress": _address,
    "numericequals": _number(lambda got, wanted: got == wanted),
    "numericgreaterthan": _number(lambda got, wanted: got > wanted),
    "numericgreaterthanequals": _number(lambda got, wanted: got >= wanted),
    "numericlessthan": _number(lambda got, wanted: got < wanted),
    "numericlessthanequals": _number(lambda got, wanted: got <= wanted),
    "stringequals": lambda wanted, got: like(_literally(wanted), got),
    "stringequalsignorecase": lambda wanted, got: wanted.lower() == got.lower(),
    "stringlike": like,
}
# A negated operator holds when none of the wanted values fits.
_NEGATED = {
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
    "numericnotequals": "numericequals",
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
}


def conditions_hold(block: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether every condition of a statement holds.

    An operator that AWS does not have never holds.
    """
    return all(
        _holds(operator, key.lower(), as_list(wanted), context)
        for operator, keys in block.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, key: str, wanted: list[Any], context: Context) -> bool:
    quantifier, _, name = operator.lower().rpartition(":")
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    values = context.get(key)
    if name == "null":
        return any((str(want).lower() == "true") == (not values) for want in wanted)
    negated = name in _NEGATED
    test = _TESTS.get(_NEGATED.get(name, name))
    if test is None:
        return False
    if values is None:
        return if_exists or quantifier == "forallvalues" or (negated and not quantifier)
    texts = [text for want in wanted if (text := fill(_text(want), context)) is not None]

    def fits(value: str) -> bool:
        found = any(_safely(test, text, value) for text in texts)
        return not found if negated else found

    if quantifier == "forallvalues":
        return all(fits(value) for value in values)
    if quantifier == "foranyvalue" or not negated:
        return any(fits(value) for value in values)
    return all(fits(value) for value in values)


def _safely(test: Test, wanted: str, got: str) -> bool:
    try:
        return test(wanted, got)
    except ValueError:
        return False


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _literally(text: str) -> str:
    """Take * and ? as themselves, unless they are marked so already."""
    marked = text.replace("[*]", "\0").replace("[?]", "\1")
    escaped = marked.replace("*", "[*]").replace("?", "[?]")
    return escaped.replace("\0", "[*]").replace("\1", "[?]")
