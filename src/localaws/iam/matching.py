"""How policies compare text: wildcards and policy variables."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Context = Mapping[str, Sequence[str]]
"""Condition keys in lower case, with their values; a key that the request lacks is absent."""
_VARIABLE = re.compile(r"\$\{([^}]+)\}")


def as_list(value: Any) -> list[Any]:
    """Policies may write one thing without its list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def like(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """Whether a pattern with * and ? covers a value."""
    return _compiled(pattern, ignore_case).fullmatch(value) is not None


def like_any(patterns: Iterable[str], value: str, *, ignore_case: bool = False) -> bool:
    """Whether one of several patterns covers a value."""
    return any(like(pattern, value, ignore_case=ignore_case) for pattern in patterns)


def arn_like(pattern: str, value: str) -> bool:
    """Whether an ARN pattern covers an ARN; wildcards do not cross its first five colons."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    if len(patterns) != 6 or len(values) != 6:
        return like(pattern, value)
    return all(like(p, v) for p, v in zip(patterns, values, strict=True))


def fill(text: str, context: Context) -> str | None:
    """Replace ${aws:username} and the like; None when the request has no such value.

    ``${*}``, ``${?}`` and ``${$}`` stand for the characters themselves.
    """
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = found[1].partition(",")
        if name in ("*", "?", "$"):
            return f"[{name}]" if name != "$" else "$"
        values = context.get(name.strip().lower())
        if values and len(values) == 1:
            return values[0]
        if default:
            return default.strip().strip("'")
        missing = True
        return ""

    filled = _VARIABLE.sub(value, text)
    return None if missing else filled


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    # fill() writes [*] and [?] for the characters themselves.
    parts = re.split(r"(\[\*\]|\[\?\]|\*|\?)", pattern)
    signs = {"*": ".*", "?": ".", "[*]": r"\*", "[?]": r"\?"}
    text = "".join(signs.get(part) or re.escape(part) for part in parts)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
