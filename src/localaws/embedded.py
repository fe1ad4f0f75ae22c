"""CloudWatch's embedded metric format: log lines of JSON that say which of their members count."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

MAX_DIMENSIONS = 30


def metric_data(lines: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The datapoints in log lines, by namespace, as PutMetricData takes them.

    A line that breaks the format's rules is a line of the log and nothing more, as on AWS.
    """
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if '"_aws"' not in line:
            continue
        try:
            for namespace, data in _of_line(json.loads(line)):
                found[namespace] += data
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return dict(found)


def _of_line(members: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    seconds = members["_aws"]["Timestamp"] / 1000
    return [
        (directive["Namespace"], _of_directive(members, directive, seconds))
        for directive in members["_aws"]["CloudWatchMetrics"]
    ]


def _of_directive(
    members: Mapping[str, Any], directive: Mapping[str, Any], seconds: float
) -> list[dict[str, Any]]:
    data = []
    for names in directive["Dimensions"]:
        dimensions = [{"Name": name, "Value": members[name]} for name in names]
        if len(names) > MAX_DIMENSIONS or not all(isinstance(d["Value"], str) for d in dimensions):
            raise ValueError("dimensions are at most 30, and texts")
        for metric in directive["Metrics"]:
            value = members[metric["Name"]]
            values = [float(one) for one in (value if isinstance(value, list) else [value])]
            data.append(
                {
                    "MetricName": metric["Name"],
                    "Dimensions": dimensions,
                    "Timestamp": seconds,
                    "Values": values,
                    "Unit": metric.get("Unit", "None"),
                }
            )
    return data
