"""When a scheduled action is due: cron(...), rate(...) and at(...), as AWS reads them."""

import calendar
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MINUTE = timedelta(minutes=1)
FIELDS = (
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 1, 7, WEEKDAYS),
    ("year", 1970, 2199, ()),
)


class ScheduleError(Exception):
    """It cannot be read; the message says why."""


Due = Callable[[datetime, datetime], bool]
"""Whether it is due after the first moment and until the second."""


def read_schedule(text: str, zone_name: str, made: datetime) -> Due:
    """Understand a schedule.

    Args:
        text: cron(...), rate(...) or at(...).
        zone_name: of the hours that cron and at name.
        made: when a rate begins to count.

    Raises:
        ScheduleError: it cannot be read.
    """
    try:
        zone = UTC if zone_name == "UTC" else ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f"{zone_name} is not a time zone.") from None
    kind = re.fullmatch(r"(cron|rate|at)\((.+)\)", text)
    if not kind:
        raise ScheduleError(f"{text} is neither cron(...), rate(...) nor at(...).")
    if kind[1] == "cron":
        return _cron(kind[2].split(" "), zone)
    return _rate(kind[2], made) if kind[1] == "rate" else _at(kind[2], zone)


def _at(text: str, zone: tzinfo) -> Due:
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        raise ScheduleError(f"at({text}) must look like at(2027-01-31T08:00:00).") from None
    return lambda after, until: after < moment <= until


def _rate(text: str, made: datetime) -> Due:
    words = re.fullmatch(r"([1-9]\d*) (minute|hour|day)s?", text)
    if not words:
        raise ScheduleError(f"rate({text}) must look like rate(2 hours).")
    step = timedelta(**{f"{words[2]}s": int(words[1])})
    return lambda after, until: (until - made) // step > max(0, (after - made) // step)


def _cron(words: Sequence[str], zone: tzinfo) -> Due:
    if len(words) != len(FIELDS):
        raise ScheduleError(
            f"cron({' '.join(words)}) has {len(words)} fields; they must be minutes, hours, day of "
            "month, month, day of week and year."
        )
    days, weekdays = words[2], words[4]
    if (days == "?") == (weekdays == "?"):
        raise ScheduleError("Exactly one of day of month and day of week must be '?'.")
    simple = [
        (_values(words[index], *FIELDS[index]), part)
        for index, part in ((0, "minute"), (1, "hour"), (3, "month"), (5, "year"))
    ]
    day = _month_day(days) if weekdays == "?" else _week_day(weekdays)

    def fits(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        return all(getattr(local, part) in found for found, part in simple) and day(local)

    def due(after: datetime, until: datetime) -> bool:
        first = after.replace(second=0, microsecond=0) + MINUTE
        return any(fits(first + number * MINUTE) for number in range((until - first) // MINUTE + 1))

    return due


def _values(text: str, name: str, least: int, most: int, names: Sequence[str]) -> set[int]:
    """Numbers of `*`, `?`, `5`, `1-5`, `MON-FRI`, `*/15`, `10/20` and lists of them."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        try:
            if span in ("*", "?"):
                first, last = least, most
            elif "-" in span:
                first, last = (_number(word, names) for word in span.split("-"))
            else:
                first = _number(span, names)
                last = most if step else first
            numbers = range(first, last + 1, int(step or 1))
        except ValueError:
            numbers = range(0)
        if not numbers or numbers[0] < least or numbers[-1] > most:
            raise ScheduleError(f"{name} is {part!r}; it must be {least} to {most}.")
        found.update(numbers)
    return found


def _number(word: str, names: Sequence[str]) -> int:
    # Weekdays and months both begin with 1.
    return names.index(word.upper()) + 1 if word.upper() in names else int(word)


def _month_day(text: str) -> Callable[[datetime], bool]:
    if text == "L":
        return lambda local: local.day == _last_day(local)
    if text.endswith("W"):
        raise ScheduleError("localaws does not imitate 'W' in day of month.")
    days = _values(text, *FIELDS[2])
    return lambda local: local.day in days


def _week_day(text: str) -> Callable[[datetime], bool]:
    last = re.fullmatch(r"(\w+?)L", text)
    if last:
        [weekday] = _values(last[1], *FIELDS[4])
        return lambda local: _weekday(local) == weekday and local.day > _last_day(local) - 7
    nth = re.fullmatch(r"(\w+)#([1-5])", text)
    if nth:
        [weekday] = _values(nth[1], *FIELDS[4])
        return lambda local: _weekday(local) == weekday and (local.day - 1) // 7 + 1 == int(nth[2])
    weekdays = _values(text, *FIELDS[4])
    return lambda local: _weekday(local) in weekdays


def _weekday(local: datetime) -> int:
    """1 is Sunday."""
    return local.isoweekday() % 7 + 1


def _last_day(local: datetime) -> int:
    return calendar.monthrange(local.year, local.month)[1]
