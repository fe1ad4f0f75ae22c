"""What serves now, and why an endpoint is not what was asked for."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from botocore.exceptions import ClientError

from contract.model_card import GOLDEN_FILE
from contract.stack import Function, Stack
from pipeline.asking import Refused, ask, bytes_request
from pipeline.aws import Account, error_code, pages
from pipeline.cli import Failed

LINES = 15
MOVING = frozenset({"Creating", "Deleting", "RollingBack", "SystemUpdating", "Updating"})
"""States of an endpoint that pass, and in which SageMaker refuses to change it."""
PATIENCE_SECONDS = 3600
PAUSE_SECONDS = 2


def endpoint_reasons(account: Account, name: str, since: datetime) -> list[str]:
    """What the stack's endpoint says of itself.

    Args:
        account: where it is.
        name: prefix of the endpoint's name.
        since: when its log begins to matter.

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
        lines += [f"  | {line}" for line in last_lines(account, endpoint, since)]
    return lines


def last_lines(account: Account, endpoint: str, since: datetime) -> list[str]:
    """The end of an endpoint's log, all instances together."""
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


def live_instances(account: Account, stack: Stack | None) -> int | None:
    """How many instances serve now, so that a new endpoint config starts with as many."""
    if stack is None or stack.endpoint is None:
        return None
    try:
        found = account.client("sagemaker").describe_endpoint(EndpointName=stack.endpoint.name)
    except ClientError as error:
        if error_code(error) in {"ValidationException", "ResourceNotFound"}:
            return None
        raise
    for variant in found.get("ProductionVariants", []):
        if variant["VariantName"] == stack.endpoint.variant:
            # A serverless one has none.
            return int(variant.get("DesiredInstanceCount") or 0) or None
    return None


def settled(account: Account, endpoint: str, tell: Callable[[str], None]) -> str | None:
    """Wait while an endpoint is being made, changed, scaled, rolled back or removed.

    Returns:
        Its status then; `None` when there is no such endpoint.

    Raises:
        Failed: it does not come to rest.
    """
    sagemaker = account.client("sagemaker")
    told = None
    for _ in range(PATIENCE_SECONDS // PAUSE_SECONDS):
        found = {
            each["EndpointName"]: each["EndpointStatus"]
            for each in pages(sagemaker, "list_endpoints", "Endpoints", NameContains=endpoint)
        }
        status = found.get(endpoint)
        if status not in MOVING:
            return status
        if status != told:
            tell(f"Endpoint {endpoint} is {status}; waiting until it has come to rest.")
        told = status
        time.sleep(PAUSE_SECONDS)
    raise Failed(f"Endpoint {endpoint} is {told} since an hour. Try again later.")


def remove_endpoint(account: Account, endpoint: str) -> None:
    """Delete an endpoint and wait until it is gone."""
    sagemaker = account.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=endpoint)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=endpoint)


def who_answers(account: Account, function: Function, build: Path) -> str:
    """Which model answers a picture now."""
    golden = build / "model" / GOLDEN_FILE
    if not golden.is_file():
        return "Nobody was asked which model answers: there is no picture to ask with."
    try:
        reply = ask(account.client("lambda"), function, bytes_request(golden.read_bytes(), 1))
    except Refused as refusal:
        return f"The service does not answer. {refusal}"
    version = reply.model_version
    return f"Model {version} still answers; `make rollback TO={version}` goes on with it."
