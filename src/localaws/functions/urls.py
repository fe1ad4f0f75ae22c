"""Function URLs: HTTP requests as events (payload format 2.0), and answers as HTTP replies."""

import base64
import binascii
import json
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from localaws.core import Call, LocalAws, Reply

TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
BAD_GATEWAY = Reply(
    status=502,
    headers={"Content-Type": "text/plain", "x-amzn-ErrorType": "InternalServerException"},
    body=b"Internal Server Error",
)


def event_of(
    aws: LocalAws,
    call: Call,
    path: str,
    api_id: str,
    route_key: str = "$default",
    stage: str = "$default",
) -> dict[str, Any]:
    """The event that the function gets, from a function URL or an HTTP API."""
    headers = {name: value for name, value in call.headers.items() if name != "cookie"}
    content_type = headers.get("content-type", "")
    is_text = not call.body or content_type.startswith(TEXT_TYPES)
    query: dict[str, list[str]] = {}
    for name, value in urllib.parse.parse_qsl(call.params["Query"], keep_blank_values=True):
        query.setdefault(name, []).append(value)
    now = time.time()
    host = headers.get("host", "127.0.0.1")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": call.params["Query"],
        "headers": {
            **headers,
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-proto": "http",
        },
        "requestContext": {
            "accountId": "anonymous" if call.principal_arn == "anonymous" else aws.account_id,
            "apiId": api_id,
            "domainName": host,
            "domainPrefix": api_id,
            "http": {
                "method": call.params["Method"],
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": call.request_id,
            "routeKey": route_key,
            "stage": stage,
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": not is_text,
    }
    if call.principal_arn != "anonymous":
        event["requestContext"]["authorizer"] = {
            "iam": {"accountId": aws.account_id, "userArn": call.principal_arn}
        }
    if query:
        event["queryStringParameters"] = {name: ",".join(texts) for name, texts in query.items()}
    if "cookie" in call.headers:
        event["cookies"] = [part.strip() for part in call.headers["cookie"].split(";")]
    if call.body:
        event["body"] = call.body.decode() if is_text else base64.b64encode(call.body).decode()
    return event


def reply_of(payload: bytes, error: str | None) -> Reply:
    """The HTTP reply for what the function returned."""
    if error:
        return BAD_GATEWAY
    answer = json.loads(payload or b"null")
    if not isinstance(answer, Mapping) or "statusCode" not in answer:
        whole = answer.encode() if isinstance(answer, str) else payload
        return Reply(headers={"Content-Type": "application/json"}, body=whole)
    body = answer.get("body") or ""
    text = body if isinstance(body, str) else json.dumps(body)
    try:
        encoded = bool(answer.get("isBase64Encoded"))
        content: bytes = base64.b64decode(text) if encoded else text.encode()
    except binascii.Error:
        return BAD_GATEWAY
    headers = {"Content-Type": "application/json"}
    for name, value in (answer.get("headers") or {}).items():
        if name.lower() == "content-type":
            headers["Content-Type"] = str(value)
        else:
            headers[name] = str(value)
    cookies = answer.get("cookies") or []
    if cookies:
        headers["Set-Cookie"] = cookies[0]
    return Reply(status=int(answer["statusCode"]), headers=headers, body=content)
