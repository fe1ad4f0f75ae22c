"""X-Ray: what a traced function was asked, written with its role."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from localaws.core import LocalAws


def write_trace(
    aws: LocalAws, configuration: Mapping[str, Any], started: float, seconds: float
) -> None:
    """Send one segment, if the function is traced and its role lets it.

    Args:
        aws: whose X-Ray.
        configuration: of the function.
        started: seconds since 1970.
        seconds: how long it ran.
    """
    traced = (configuration.get("TracingConfig") or {}).get("Mode") == "Active"
    role, name = str(configuration.get("Role")), configuration["FunctionName"]
    if not traced or not aws.may(role, name, "xray", "PutTraceSegments", {}):
        return
    segment = {
        "name": name,
        "id": secrets.token_hex(8),
        "trace_id": f"1-{int(started):08x}-{secrets.token_hex(12)}",
        "start_time": started,
        "end_time": started + seconds,
        "origin": "AWS::Lambda::Function",
    }
    xray = aws.records_client("xray")
    xray.put_trace_segments(TraceSegmentDocuments=[json.dumps(segment)])
