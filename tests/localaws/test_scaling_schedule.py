import itertools
from datetime import UTC, datetime, timedelta

import pytest

from localaws.scaling.schedule import ScheduleError, read_schedule

MADE = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def due(text: str, after: str, until: str, zone: str = "UTC") -> bool:
    """Whether it is due between two moments of UTC."""
    moments = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (after, until))
    return read_schedule(text, zone, MADE)(*moments)


@pytest.mark.parametrize(
    ("text", "minute"),
    [
        ("cron(0 8 ? * MON-FRI *)", "2026-11-02T08:00"),
        ("cron(0/15 8-10 ? * 2 *)", "2026-11-02T09:45"),
        ("cron(30 20 1,15 * ? 2026-2027)", "2026-11-15T20:30"),
        ("cron(0 0 L 2 ? *)", "2028-02-29T00:00"),
        ("cron(0 0 ? * 6L *)", "2026-11-27T00:00"),
        ("cron(0 0 ? NOV TUE#2 *)", "2026-11-10T00:00"),
    ],
)
def test_a_cron_schedule_is_due_in_its_minute_and_not_in_those_beside_it(
    text: str, minute: str
) -> None:
    then = datetime.fromisoformat(minute)
    before, after = then - timedelta(seconds=1), then + timedelta(seconds=59)

    assert due(text, before.isoformat(), minute)
    assert not due(text, minute, after.isoformat())
    assert not due(text, (then - timedelta(seconds=61)).isoformat(), before.isoformat())


def test_each_time_is_due_once() -> None:
    looks = ["07:59:58", "08:00:03", "08:00:08", "08:01:00"]

    found = [
        due("cron(0 8 ? * * *)", f"2026-11-02T{a}", f"2026-11-02T{b}")
        for a, b in itertools.pairwise(looks)
    ]

    assert found == [True, False, False]


@pytest.mark.parametrize(
    ("day", "hour"), [("2026-07-01", "06"), ("2026-12-01", "07")], ids=["summer", "winter"]
)
def test_the_hours_of_a_cron_schedule_are_those_of_its_time_zone(day: str, hour: str) -> None:
    text = "cron(0 8 ? * * *)"

    assert due(text, f"{day}T{hour}:00:00", f"{day}T{hour}:00:30", "Europe/Berlin") is False
    assert due(text, f"{day}T0{int(hour) - 1}:59:59", f"{day}T{hour}:00:30", "Europe/Berlin")


def test_a_rate_counts_from_when_it_was_made() -> None:
    assert not due("rate(2 hours)", "2026-11-02T12:00:00", "2026-11-02T13:59:59")
    assert due("rate(2 hours)", "2026-11-02T13:59:59", "2026-11-02T14:00:00")
    assert due("rate(1 minute)", "2026-11-02T15:00:30", "2026-11-02T15:01:30")


def test_a_moment_is_due_once_in_its_time_zone() -> None:
    text = "at(2026-12-24T18:00:00)"

    assert due(text, "2026-12-24T16:59:59", "2026-12-24T17:00:00", "Europe/Berlin")
    assert not due(text, "2026-12-24T17:00:00", "2026-12-24T18:30:00", "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "complaint"),
    [
        ("every day", "UTC", "neither cron"),
        ("cron(0 8 * * *)", "UTC", "has 5 fields"),
        ("cron(0 8 * * * *)", "UTC", "Exactly one"),
        ("cron(61 8 ? * * *)", "UTC", "minutes is '61'; it must be 0 to 59"),
        ("cron(0 8 ? * MOO *)", "UTC", "day of week is 'MOO'"),
        ("rate(0 minutes)", "UTC", "rate"),
        ("at(2026-12-24)", "UTC", "must look like"),
        ("rate(1 minute)", "Mars/Olympus", "not a time zone"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(text: str, zone: str, complaint: str) -> None:
    with pytest.raises(ScheduleError, match=complaint):
        read_schedule(text, zone, MADE)
