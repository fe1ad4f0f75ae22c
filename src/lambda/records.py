"""What one request leaves in the log: a line of JSON that CloudWatch reads metrics from as well.

The metrics are in CloudWatch's embedded format: no call, no right, no waiting.
"""

import json
import os
import time
from typing import Any

NAMESPACE = "Kennel"
FUNCTION = "FunctionName"
_TIMINGS = (
    ("duration_ms", "Latency", "Milliseconds"),
    ("endpoint_ms", "EndpointLatency", "Milliseconds"),
    ("picture_bytes", "PictureBytes", "Bytes"),
)
"""A field of the line, and the metric that it is."""
_started = False


def write(log: dict[str, Any], status: int) -> None:
    """Print the line.

    Args:
        log: what happened, as far as it happened.
        status: what the caller gets.
    """
    print(json.dumps({"level": "info" if status < 500 else "error", **log, **_metrics(log)}))  # noqa: T201


def _metrics(log: dict[str, Any]) -> dict[str, Any]:
    """Members that make a line a record of metrics."""
    global _started
    code = log.get("code")
    values: dict[str, Any] = {"ColdStart": int(not _started), "Errors": int(code is not None)}
    units = dict.fromkeys(values, "Count")
    _started = True
    for field, name, unit in _TIMINGS:
        if field in log:
            values[name], units[name] = log[field], unit
    counted = [_directive([FUNCTION], units)]
    if code is not None:
        values["Code"] = code
        counted.append(_directive([FUNCTION, "Code"], {"Errors": "Count"}))
    function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
    about = {"Timestamp": int(1000 * time.time()), "CloudWatchMetrics": counted}
    return {"_aws": about, FUNCTION: function, **values}


def _directive(dimensions: list[str], units: dict[str, str]) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": unit} for name, unit in units.items()]
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}
