import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from localaws.gaps.alarms import Point, evaluate

ALARM = {
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluationPeriods": 3,
    "MetricName": "Errors",
    "Period": 60,
    "StateValue": "OK",
    "Statistic": "Sum",
    "Threshold": 1.0,
}


def point(age_seconds: float, *values: float) -> Point:
    return Point(
        age_seconds=age_seconds,
        sum=sum(values),
        count=len(values),
        least=min(values),
        most=max(values),
    )


def state(*points: Point, **changes: Any) -> str:
    return evaluate({**ALARM, **changes}, points)[0]


def test_it_rings_when_all_periods_are_beyond_the_threshold() -> None:
    assert state(point(5, 2), point(65, 1, 1), point(125, 3)) == "ALARM"
    assert state(point(5, 2), point(65, 1), point(125, 3)) == "OK"


def test_some_periods_are_enough_when_it_says_so() -> None:
    points = point(5, 0), point(65, 2), point(125, 2)

    assert state(*points, DatapointsToAlarm=2) == "ALARM"
    assert state(*points, DatapointsToAlarm=3) == "OK"


@pytest.mark.parametrize(
    ("statistic", "rings_above"),
    [("Average", 2), ("SampleCount", 3), ("Minimum", 1), ("Maximum", 3)],
)
def test_the_statistic_is_of_all_that_was_measured_in_a_period(
    statistic: str, rings_above: float
) -> None:
    points = point(1, 1, 2), point(59, 3)
    about = {"EvaluationPeriods": 1, "Statistic": statistic}

    assert state(*points, **about, Threshold=rings_above - 0.1) == "ALARM"
    assert state(*points, **about, Threshold=rings_above) == "OK"


@pytest.mark.parametrize(
    ("treat", "found"),
    [
        ("breaching", "ALARM"),
        ("notBreaching", "OK"),
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "ALARM"),
    ],
)
def test_nothing_measured_counts_as_the_alarm_says(treat: str, found: str) -> None:
    assert state(TreatMissingData=treat, StateValue="ALARM") == found


@pytest.fixture
def alarm(local_aws: Any) -> Iterator[str]:
    name = f"alarm-{uuid.uuid4().hex[:8]}"
    cloudwatch = local_aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        Dimensions=[{"Name": "Of", "Value": name}],
        EvaluationPeriods=1,
        MetricName="Errors",
        Namespace="Own",
        Period=60,
        Statistic="Sum",
        Threshold=1,
        TreatMissingData="notBreaching",
    )
    yield name
    cloudwatch.delete_alarms(AlarmNames=[name])


def seen(cloudwatch: Any, name: str) -> str:
    [found] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(found["StateValue"])


@pytest.mark.slow
def test_an_alarm_sees_its_own_dimensions_and_no_others(local_aws: Any, alarm: str) -> None:
    cloudwatch = local_aws.client("cloudwatch")
    more = [{"Name": "Of", "Value": alarm}, {"Name": "Also", "Value": "x"}]

    def measure(dimensions: list[dict[str, str]]) -> str:
        datum = {"MetricName": "Errors", "Dimensions": dimensions, "Value": 2}
        cloudwatch.put_metric_data(Namespace="Own", MetricData=[datum])
        return seen(cloudwatch, alarm)

    assert measure(more) == "OK"
    assert measure(more[:1]) == "ALARM"


@pytest.mark.slow
def test_a_state_that_was_set_by_hand_holds(local_aws: Any, alarm: str) -> None:
    cloudwatch = local_aws.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="A drill.")

    assert seen(cloudwatch, alarm) == "ALARM"
