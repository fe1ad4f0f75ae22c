"""The Lambda function: takes a picture from a caller, asks the endpoint, answers in JSON.

It is invoked through its function URL or an API Gateway (HTTP events), or directly; where the
settings say so, with pictures in S3 too. It imports nothing but what Lambda has, and little of
that, so that it starts fast.
"""

import json
import os
import time
from typing import Any

import endpoint
import records
from callers import STATUS_OF_ERROR, RefusedError, from_direct, from_http, plain_id

endpoint.session(endpoint.ENDPOINT_TIMEOUT_SECONDS)  # made while Lambda starts, for every request


def handle(event: Any, context: Any) -> dict[str, Any]:
    """Answer one event; see docs/api.md for its shapes.

    Returns:
        For HTTP events, what API Gateway and function URLs expect; for a direct invocation
        ``{"statusCode": ..., "body": {...}}`` with the body as an object; for pictures in S3, the
        messages that are to come again.
    """
    if "BATCH_PREFIX" in os.environ and isinstance(event, dict) and "Records" in event:
        import batch

        return batch.answer_all(event["Records"], context)
    begun = time.monotonic()
    over_http = isinstance(event, dict) and "requestContext" in event
    request_id = context.aws_request_id
    log: dict[str, Any] = {"event": "request", "source": "http" if over_http else "direct"}
    try:
        if over_http:
            headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
            request_id = plain_id(headers.get("x-request-id")) or request_id
            body, content_type, top_k = from_http(event, headers)
        else:
            body, content_type, top_k = from_direct(event)
        if content_type != "application/json":
            log["picture_bytes"] = len(body)
            if "SHRINK_PX" in os.environ:
                import shrink

                body, content_type = shrink.shrunk(body, content_type, int(os.environ["SHRINK_PX"]))
                log["sent_bytes"] = len(body)
        status, reply = 200, endpoint.ask(body, content_type, top_k, request_id, context, log)
        log["model_version"] = reply["model_version"]
    except RefusedError as error:
        status, reply = STATUS_OF_ERROR[error.code], _error(error.code, error.message)
        log |= {"code": error.code, "message": error.message}
    except Exception as error:
        status, reply = 500, _error("internal", "The function failed on this request.")
        log |= {"code": "internal", "fault": repr(error)[:500]}
    log |= {"status": status, "duration_ms": round(1000 * (time.monotonic() - begun), 1)}
    records.write({**_ids(request_id, context), **log}, status)
    return (
        _http_reply(status, reply, request_id)
        if over_http
        else {"statusCode": status, "body": reply}
    )


def _ids(request_id: str, context: Any) -> dict[str, str]:
    """What finds this request in other logs: the endpoint's, Lambda's own lines, X-Ray."""
    ids = {"request_id": request_id, "lambda_request_id": context.aws_request_id}
    trace = os.environ.get("_X_AMZN_TRACE_ID", "").partition("Root=")[2].partition(";")[0]
    return {**ids, "trace_id": trace} if trace else ids


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _http_reply(status: int, reply: dict[str, Any], request_id: str) -> dict[str, Any]:
    headers = {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-request-id": request_id,
    }
    if status in (429, 503):
        headers["retry-after"] = "1"
    if status == 405:
        headers["allow"] = "POST"
    return {
        "statusCode": status,
        "headers": headers,
        "body": json.dumps(reply, ensure_ascii=False),
        "isBase64Encoded": False,
    }
