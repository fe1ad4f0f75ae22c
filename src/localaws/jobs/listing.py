"""Pages of summaries: filters, order and tokens that all lists of jobs share."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any


def page(
    asked: Mapping[str, Any],
    summaries: Sequence[dict[str, Any]],
    name_member: str,
    status_member: str,
    sort_by: Mapping[str, str],
) -> dict[str, Any]:
    """What a list call answers.

    Args:
        asked: the call's parameters; a SortBy of None keeps the order as it is.
        summaries: everything there is.
        name_member: the member that NameContains is about.
        status_member: the member that StatusEquals is about.
        sort_by: the member that each value of SortBy is about.

    Returns:
        Summaries, and NextToken where more follow.
    """
    found = [
        one
        for one in summaries
        if asked.get("NameContains", "").lower() in one[name_member].lower()
        and asked.get("StatusEquals", one[status_member]) == one[status_member]
        and _within(asked, "CreationTime", one["CreationTime"])
        and _within(asked, "LastModifiedTime", one.get("LastModifiedTime", one["CreationTime"]))
    ]
    chosen = asked.get("SortBy", "CreationTime")
    if chosen is not None:
        key, descending = sort_by[chosen], asked.get("SortOrder") != "Ascending"
        found.sort(key=lambda one: one[key], reverse=descending)
    first = int(asked.get("NextToken") or 0)
    last = first + int(asked.get("MaxResults") or 10)
    more = {"NextToken": str(last)} if last < len(found) else {}
    return {"Summaries": found[first:last], **more}


def _within(asked: Mapping[str, Any], member: str, seconds: float) -> bool:
    after, before = asked.get(f"{member}After"), asked.get(f"{member}Before")
    return _seconds(after, 0) <= seconds <= _seconds(before, float("inf"))


def _seconds(value: Any, default: float) -> float:
    """A time of a request, as seconds since 1970."""
    if value is None:
        return default
    return value.timestamp() if isinstance(value, datetime.datetime) else float(value)
