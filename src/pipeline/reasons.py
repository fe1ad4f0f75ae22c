"""Why an endpoint is not what was asked for: its own words, and the last lines of its log."""

from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from pipeline.aws import Account, error_code, pages

LINES = 15


def endpoint_reasons(account: Account, name: str) -> list[str]:
    """What the stack's endpoint says of itself.

    Args:
        account: where it is.
        name: prefix of the endpoint's name.

    Returns:
        Lines to show; none when there is no endpoint.
    """
    sagemaker = account.client("sagemaker")
    found = [
        endpoint["EndpointName"]
        for endpoint in pages(sagemaker, "list_endpoints", "Endpoints", NameContains=name)
        if endpoint["EndpointName"].startswith(name)
    ]
    lines = []
    for endpoint in found:
        state = sagemaker.describe_endpoint(EndpointName=endpoint)
        reason = state.get("FailureReason")
        lines.append(f"Endpoint {endpoint} is {state['EndpointStatus']}"
                     f"{f': {reason}' if reason else '.'}")  # fmt: skip
        lines += [f"  | {line}" for line in last_lines(account, endpoint)]
    return lines


def last_lines(account: Account, endpoint: str) -> list[str]:
    """The end of an endpoint's log, all instances together."""
    since = datetime.now(UTC) - timedelta(minutes=30)
    try:
        events = list(
            pages(
                account.client("logs"),
                "filter_log_events",
                "events",
                logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}",
                startTime=int(since.timestamp() * 1000),
            )
        )
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return []
        raise
    events.sort(key=lambda event: event["timestamp"])
    return [event["message"].rstrip() for event in events[-LINES:]]
