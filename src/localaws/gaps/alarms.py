"""CloudWatch: metric alarms ring, which moto only remembers.

An alarm is evaluated whenever somebody describes it. A state that was set by hand holds for a
minute, as it does on AWS until the next evaluation. Percentiles, metric math, composite alarms
and actions are recorded, not imitated.
"""

import operator
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from localaws import wire
from localaws.core import Call, LocalAws, Observer, Operation, Reply

HAND_SECONDS = 60.0
COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
STATISTICS = ("Sum", "SampleCount", "Minimum", "Maximum")


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What was measured in a short time."""

    age_seconds: float
    sum: float
    count: float
    least: float
    most: float


class Alarms:
    """Brings the state of alarms up to date before they are seen."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._by_hand: dict[str, float] = {}
        self.observers: Mapping[Operation, Observer] = {
            ("cloudwatch", "DescribeAlarms"): self._described,
            ("cloudwatch", "PutMetricAlarm"): self._put,
            ("cloudwatch", "SetAlarmState"): self._set,
        }

    def _put(self, call: Call, reply: Reply) -> Reply:
        self._by_hand.pop(call.params["AlarmName"], None)
        return reply

    def _set(self, call: Call, reply: Reply) -> Reply:
        self._by_hand[call.params["AlarmName"]] = time.monotonic()
        return reply

    def _described(self, call: Call, reply: Reply) -> Reply:
        members = wire.read_result(call, reply)
        changed = False
        for alarm in members.get("MetricAlarms", []):
            state, reason = self._state(alarm)
            if state != alarm["StateValue"]:
                changed = True
                alarm.update(StateValue=state, StateReason=reason)
                self._aws.records_client("cloudwatch").set_alarm_state(
                    AlarmName=alarm["AlarmName"], StateValue=state, StateReason=reason
                )
        return wire.result(call, members) if changed else reply

    def _state(self, alarm: Mapping[str, Any]) -> tuple[str, str]:
        set_at = self._by_hand.get(alarm["AlarmName"])
        held = set_at is not None and time.monotonic() - set_at < HAND_SECONDS
        if held or "MetricName" not in alarm or "Statistic" not in alarm:
            return alarm["StateValue"], ""
        return evaluate(alarm, self._points(alarm))

    def _points(self, alarm: Mapping[str, Any]) -> list[Point]:
        now = datetime.now(UTC)
        seconds = alarm["Period"] * alarm["EvaluationPeriods"]
        found = self._aws.records_client("cloudwatch").get_metric_statistics(
            Namespace=alarm["Namespace"],
            MetricName=alarm["MetricName"],
            Dimensions=alarm.get("Dimensions", []),
            StartTime=now - timedelta(seconds=seconds),
            EndTime=now + timedelta(seconds=1),
            # Fine enough to tell the alarm's own periods apart.
            Period=max(1, seconds // 1000),
            Statistics=list(STATISTICS),
        )["Datapoints"]
        return [
            Point(
                age_seconds=max(0.0, (now - point["Timestamp"]).total_seconds()),
                sum=point["Sum"],
                count=point["SampleCount"],
                least=point["Minimum"],
                most=point["Maximum"],
            )
            for point in found
        ]


def evaluate(alarm: Mapping[str, Any], points: Sequence[Point]) -> tuple[str, str]:
    """The state of an alarm, and why.

    Args:
        alarm: as DescribeAlarms has it.
        points: what was measured of its metric.
    """
    period, periods = alarm["Period"], alarm["EvaluationPeriods"]
    values = [
        _statistic(
            alarm["Statistic"],
            [p for p in points if number * period <= p.age_seconds < (number + 1) * period],
        )
        for number in range(periods)
    ]
    present = [value for value in values if value is not None]
    treat = alarm.get("TreatMissingData") or "missing"
    if not present and treat == "missing":
        return "INSUFFICIENT_DATA", "There are no datapoints."
    if not present and treat == "ignore":
        return alarm["StateValue"], ""
    compare = COMPARISONS[alarm["ComparisonOperator"]]
    breaching = sum(compare(value, alarm["Threshold"]) for value in present)
    if treat == "breaching":
        breaching += values.count(None)
    state = "ALARM" if breaching >= (alarm.get("DatapointsToAlarm") or periods) else "OK"
    shown = ", ".join("none" if value is None else f"{value:g}" for value in values)
    return state, (
        f"{alarm['Statistic']} of {alarm['MetricName']}, newest first: {shown}; "
        f"threshold {alarm['Threshold']:g}."
    )


def _statistic(name: str, points: Sequence[Point]) -> float | None:
    if not points:
        return None
    count = sum(point.count for point in points)
    total = sum(point.sum for point in points)
    return {
        "Average": total / count,
        "Maximum": max(point.most for point in points),
        "Minimum": min(point.least for point in points),
        "SampleCount": count,
        "Sum": total,
    }[name]
