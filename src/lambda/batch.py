"""Pictures that nobody waits for: events of S3, in messages of a queue or as they are.

Each picture is asked for by its address, and the answer becomes an object. What would come out
the same again, a broken picture for example, is an answer; what may go better later is given back.
"""

import functools
import json
import os
import time
import urllib.parse
from typing import Any

import endpoint
import records
from callers import STATUS_OF_ERROR, RefusedError

BUCKET = os.environ["BATCH_BUCKET"]
PREFIX = os.environ["BATCH_PREFIX"]
RESULTS_PREFIX = os.environ["BATCH_RESULTS_PREFIX"]
FROM_QUEUE = "aws:sqs"
FINAL_BELOW = 429
"""Statuses from here on may be others in a minute: too many requests, and all that fail."""


def answer_all(events: list[Any], context: Any) -> dict[str, Any]:
    """Answer all that came at once.

    Args:
        events: messages of a queue that hold events of S3, or those events themselves.
        context: Lambda's.

    Returns:
        The messages that are to come again, as Lambda reads it of a function behind a queue.

    Raises:
        RuntimeError: events that did not come through a queue are to come again.
    """
    failures: list[dict[str, str]] = []
    waiting = 0
    for event in events:
        if isinstance(event, dict) and event.get("eventSource") == FROM_QUEUE:
            message_id = str(event["messageId"])
            if not _message(event, message_id, context):
                failures.append({"itemIdentifier": message_id})
        elif not _logged(event, context.aws_request_id, context):
            waiting += 1
    if waiting:
        raise RuntimeError(f"{waiting} of {len(events)} pictures have no answer yet")
    return {"batchItemFailures": failures}


@functools.cache
def _s3() -> Any:
    """A client of S3. Nobody waits for the start of this one."""
    import botocore.session
    from botocore.config import Config

    config = Config(
        connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2}
    )
    session = botocore.session.get_session()
    return session.create_client("s3", region_name=os.environ["AWS_REGION"], config=config)


def _message(message: dict[str, Any], message_id: str, context: Any) -> bool:
    """Whether a message of the queue is done with."""
    try:
        # S3 sends a test when it is told of a queue, which has no records.
        events = json.loads(message["body"]).get("Records", [])
    except (ValueError, KeyError, AttributeError):
        events = [None]
    done = [_logged(event, message_id, context) for event in events]  # all of them, whatever fails
    return all(done)


def _logged(event: Any, request_id: str, context: Any) -> bool:
    """Whether a picture is done with; writes a line about it."""
    begun = time.monotonic()
    log: dict[str, Any] = {
        "request_id": request_id,
        "lambda_request_id": context.aws_request_id,
        "event": "request",
        "source": "batch",
    }
    try:
        status = _answer(event, request_id, context, log)
    except Exception as error:
        status = 500
        log |= {"code": "internal", "fault": repr(error)[:500]}
    log |= {"status": status, "duration_ms": round(1000 * (time.monotonic() - begun), 1)}
    records.write(log, status)
    return status < FINAL_BELOW


def _answer(event: Any, request_id: str, context: Any, log: dict[str, Any]) -> int:
    """Ask for one picture and write the answer down; gives the status of the answer."""
    key = _key(event)
    uri = log["s3_uri"] = f"s3://{BUCKET}/{key}"
    if key.endswith("/"):  # a folder that the console made
        return 200
    body: dict[str, Any]
    try:
        asked = json.dumps({"s3_uri": uri}).encode()
        status = 200
        body = endpoint.ask(asked, "application/json", None, request_id, context, log)
        log["model_version"] = body["model_version"]
    except RefusedError as error:
        status = STATUS_OF_ERROR[error.code]
        body = {"error": {"code": error.code, "message": error.message}}
        log |= {"code": error.code, "message": error.message}
        if status >= FINAL_BELOW:
            return status
    result = {"s3_uri": uri, "request_id": request_id, "statusCode": status, "body": body}
    _s3().put_object(
        Bucket=BUCKET,
        Key=f"{RESULTS_PREFIX}{key.removeprefix(PREFIX)}.json",
        Body=json.dumps(result, ensure_ascii=False).encode(),
        ContentType="application/json",
    )
    return status


def _key(event: Any) -> str:
    """The key of the picture that an event is about.

    Raises:
        ValueError: it is about something else.
    """
    try:
        bucket = event["s3"]["bucket"]["name"]
        key = urllib.parse.unquote_plus(event["s3"]["object"]["key"])
    except (KeyError, TypeError):
        raise ValueError(f"no event of S3: {str(event)[:200]}") from None
    if bucket != BUCKET or not key.startswith(PREFIX):
        raise ValueError(f"s3://{bucket}/{key} is not below s3://{BUCKET}/{PREFIX}")
    return key
