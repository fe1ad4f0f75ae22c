"""Metrics that programs write into their log, read back from CloudWatch."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.localaws.lambdas import allow, make_function, make_role, zipped
from tests.localaws.test_functions import until

from localaws.embedded import metric_data

SOURCE = """
import json, os, time
def handle(event, context):
    about = {"Timestamp": int(1000 * time.time()), "CloudWatchMetrics": [{
        "Namespace": "Dogs",
        "Dimensions": [["FunctionName"], ["FunctionName", "Breed"]],
        "Metrics": [{"Name": "Barks", "Unit": "Count"}],
    }]}
    name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    line = {"_aws": about, "FunctionName": name, "Breed": "pug", "Barks": event["barks"]}
    print(json.dumps(line))
    return os.environ["_X_AMZN_TRACE_ID"]
"""


def line(**changed: Any) -> str:
    """A good line, but for what is changed."""
    directive = {
        "Namespace": "Dogs",
        "Dimensions": [["FunctionName"]],
        "Metrics": [{"Name": "Barks", "Unit": "Count"}],
    }
    about = {"Timestamp": 1_700_000_000_500, "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": about, "FunctionName": "dogs", "Barks": 3, **changed})


def test_a_line_is_read_as_its_datapoints() -> None:
    found = metric_data(["START RequestId: 1", line(), line(Barks=[1, 2])])

    assert [datum["Values"] for datum in found["Dogs"]] == [[3.0], [1.0, 2.0]]
    assert found["Dogs"][0] == {
        "MetricName": "Barks",
        "Dimensions": [{"Name": "FunctionName", "Value": "dogs"}],
        "Timestamp": 1_700_000_000.5,
        "Values": [3.0],
        "Unit": "Count",
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"_aws": ',
        '["_aws"]',
        line(_aws={}),
        line(_aws=3),
        line(Barks="loud"),
        line(Barks=None),
        line(FunctionName=7),
        line(FunctionName=None),
    ],
)
def test_a_line_that_breaks_the_rules_counts_nothing(text: str) -> None:
    assert metric_data([text]) == {}


@pytest.mark.slow
def test_what_a_function_counts_in_its_log_is_in_cloudwatch(local_aws: Any) -> None:
    log = "arn:aws:logs:*:*:log-group:/aws/lambda/*"
    name = make_function(
        local_aws, make_role(local_aws, "lambda.amazonaws.com", [allow("logs:*", log)])
    )
    client = local_aws.client("lambda")
    client.update_function_code(FunctionName=name, ZipFile=zipped(SOURCE))

    traces = [
        client.invoke(FunctionName=name, Payload=json.dumps({"barks": barks}))["Payload"].read()
        for barks in (2, 5)
    ]

    now = datetime.now(UTC)

    def total(**more: str) -> float:
        points = local_aws.client("cloudwatch").get_metric_statistics(
            Namespace="Dogs",
            MetricName="Barks",
            Dimensions=[{"Name": key, "Value": value} for key, value in more.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    assert until(lambda: total(FunctionName=name) == 7)
    assert total(FunctionName=name, Breed="pug") == 7
    assert all(trace.startswith(b'"Root=1-') for trace in traces)


@pytest.mark.slow
def test_a_line_that_may_not_be_written_counts_nothing(local_aws: Any) -> None:
    name = make_function(local_aws, make_role(local_aws, "lambda.amazonaws.com", []))
    client = local_aws.client("lambda")
    client.update_function_code(FunctionName=name, ZipFile=zipped(SOURCE))
    client.invoke(FunctionName=name, Payload=b'{"barks": 1}')

    cloudwatch = local_aws.client("cloudwatch")
    # Written after the line, by the same thread.
    own = [{"Name": "FunctionName", "Value": name}]
    assert until(
        lambda: cloudwatch.list_metrics(
            Namespace="AWS/Lambda", MetricName="Invocations", Dimensions=own
        )["Metrics"]
    )
    assert not cloudwatch.list_metrics(Namespace="Dogs", Dimensions=own)["Metrics"]
