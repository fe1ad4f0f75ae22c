"""The Lambda function against servers that speak InvokeEndpoint's protocol over HTTP."""

import base64
import json
import socket
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from tests.events.samples import Sample, picture, samples
from tests.inference.invoke_endpoint import Context, Invocation, endpoint_server
from tests.inference.model import CLASSES
from tests.inference.serving import Server

from contract.messages import BYTES_TYPES, PICTURE_TYPES, STATUS_OF_ERROR

Load = Callable[..., ModuleType]
Answer = tuple[int, dict[str, str], bytes]
GOOD = json.dumps(
    {"model_version": "0123456789ab", "predictions": [{"label": "pug", "probability": 0.9}]}
).encode()
EVENT = {"image_base64": base64.b64encode(picture("rgb.jpg")).decode()}


def aws_error(status: int, code: str, **members: Any) -> Answer:
    """An error as SageMaker writes it."""
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps({"Message": "internal: arn:aws:secret", **members}).encode()


def model_error(status: int, text: str) -> Answer:
    """The model's own error, as SageMaker wraps it."""
    return aws_error(424, "ModelError", OriginalStatusCode=status, OriginalMessage=text)


def typed(code: str) -> str:
    """An error body of ours."""
    return json.dumps({"error": {"code": code, "message": "said by the model"}})


def through(server: Server) -> Callable[[Invocation], Answer]:
    """InvokeEndpoint as SageMaker does it: pass the body on to the real container."""

    def reply(invocation: Invocation) -> Answer:
        names = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes")
        headers = {name: invocation.headers[name] for name in names if name in invocation.headers}
        answer = server.send("POST", "/invocations", invocation.body, headers)
        if answer.status == 200:
            return 200, {"Content-Type": "application/json"}, answer.text
        return model_error(answer.status, answer.text.decode())

    return reply


@pytest.mark.slow
@pytest.mark.parametrize("sample", samples("function"), ids=lambda sample: sample.name)
def test_every_sample_gets_its_answer_from_the_real_server(
    sample: Sample, server: Server, load: Load
) -> None:
    with endpoint_server(through(server)) as endpoint:
        reply = load(endpoint.url).handle(sample.request, Context())

    assert reply["statusCode"] == sample.expected["status"], reply
    over_http = sample.name.startswith("function-http")
    body = json.loads(reply["body"]) if over_http else reply["body"]
    assert set(reply) == (
        {"statusCode", "headers", "body", "isBase64Encoded"}
        if over_http
        else {"statusCode", "body"}
    )
    if reply["statusCode"] == 200:
        assert body["model_version"] == "0123456789ab"
        assert len(body["predictions"]) == sample.expected.get("predictions", len(CLASSES))
    else:
        assert body["error"]["code"] == sample.expected["code"]
        assert body["error"]["message"].endswith((".", "'top_k'.", "}."))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (model_error(400, typed("bad_request")), 400),
        (model_error(404, typed("not_found")), 404),
        (model_error(413, typed("too_large")), 413),
        (model_error(415, typed("unsupported_media_type")), 415),
        (model_error(400, "Traceback: not ours"), 502),
        (model_error(404, typed("too_large")), 502),
        (model_error(500, typed("internal")), 502),
        (model_error(503, typed("unavailable")), 503),
        (model_error(504, typed("timeout")), 504),
        (aws_error(400, "ThrottlingException"), 429),
        (aws_error(400, "ValidationError"), 503),
        (aws_error(429, "ModelNotReadyException"), 503),
        (aws_error(503, "ServiceUnavailable"), 503),
        (aws_error(500, "InternalFailure"), 502),
        (aws_error(403, "AccessDeniedException"), 502),
        ((200, {"Content-Type": "application/json"}, b"not json"), 502),
        ((200, {"Content-Type": "application/json"}, b"{}"), 502),
    ],
)
def test_each_failure_of_the_endpoint_has_its_status(
    answer: Answer, status: int, load: Load
) -> None:
    with endpoint_server(lambda _: answer) as endpoint:
        reply = load(endpoint.url).handle(EVENT, Context())

    code = reply["body"]["error"]["code"]
    assert (reply["statusCode"], STATUS_OF_ERROR[code]) == (status, status)
    assert "arn:" not in str(reply)
    assert "Traceback" not in str(reply)
    assert len(endpoint.seen) == 1


@pytest.mark.parametrize("sample", samples("off"), ids=lambda sample: sample.name)
def test_without_an_endpoint_callers_are_told_so(sample: Sample, load: Load) -> None:
    missing = aws_error(400, "ValidationError")
    with endpoint_server(lambda _: missing) as endpoint:
        reply = load(endpoint.url).handle(sample.request, Context())

    body = json.loads(reply["body"]) if isinstance(reply["body"], str) else reply["body"]
    assert reply["statusCode"] == sample.expected["status"]
    assert body["error"]["code"] == sample.expected["code"]


def test_an_endpoint_that_does_not_answer_is_a_timeout(load: Load) -> None:
    release = threading.Event()

    def never(_: Invocation) -> None:
        release.wait(20)

    with endpoint_server(never) as endpoint:
        reply = load(endpoint.url, timeout_seconds=1).handle(EVENT, Context())
        release.set()

    assert (reply["statusCode"], reply["body"]["error"]["code"]) == (504, "timeout")
    assert len(endpoint.seen) == 1


def test_an_endpoint_that_nobody_listens_for_is_unavailable(load: Load) -> None:
    with socket.socket() as deaf:  # bound, so that the port is ours, but not listening
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        reply = load(f"http://127.0.0.1:{port}").handle(EVENT, Context())

    assert (reply["statusCode"], reply["body"]["error"]["code"]) == (503, "unavailable")


def test_a_connection_that_was_closed_is_tried_once_more(load: Load) -> None:
    answers: list[Answer | None] = [None, (200, {}, GOOD)]
    with endpoint_server(lambda _: answers.pop(0)) as endpoint:
        reply = load(endpoint.url).handle(EVENT, Context())

    assert (reply["statusCode"], len(endpoint.seen)) == (200, 2)


def test_without_time_left_the_endpoint_is_not_asked(load: Load) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = load(endpoint.url).handle(EVENT, Context(remaining_ms=1500))

    assert (reply["statusCode"], endpoint.seen) == (504, [])


def test_a_fault_of_the_function_shows_no_trace(load: Load) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = load(endpoint.url).handle({"requestContext": {}, "headers": 1}, Context())

    assert reply["statusCode"] == 500
    assert json.loads(reply["body"])["error"]["message"] == "The function failed on this request."


def test_a_picture_too_large_for_lambda_is_refused_in_a_sentence(load: Load) -> None:
    event = {"image_base64": base64.b64encode(b"\xff\xd8\xff" + b"x" * 4_500_000).decode()}
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = load(endpoint.url).handle(event, Context())

    assert (reply["statusCode"], endpoint.seen) == (413, [])
    assert "s3_uri" in reply["body"]["error"]["message"]


def test_the_endpoint_gets_the_bytes_their_type_and_the_request_id(load: Load) -> None:
    context = Context()
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        load(endpoint.url).handle({**EVENT, "top_k": 3}, context)

    (seen,) = endpoint.seen
    assert (seen.path, seen.body) == ("/endpoints/kennel-test/invocations", picture("rgb.jpg"))
    assert seen.headers["content-type"] == "image/jpeg"
    attributes = seen.headers["x-amzn-sagemaker-custom-attributes"]
    assert attributes == f"request_id={context.aws_request_id};deadline_ms=20000;top_k=3"
    assert seen.headers["x-amzn-sagemaker-inference-id"] == context.aws_request_id


def test_an_s3_uri_is_passed_on_and_not_read(load: Load) -> None:
    uri = "s3://bucket/pictures/a.jpg"
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        load(endpoint.url).handle({"s3_uri": uri, "top_k": 2}, Context())

    assert json.loads(endpoint.seen[0].body) == {"s3_uri": uri, "top_k": 2}


def test_one_line_of_json_is_logged_without_the_picture(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        load(endpoint.url).handle(EVENT, Context())

    (line,) = capsys.readouterr().out.splitlines()
    entry = json.loads(line)
    assert {"request_id", "status", "duration_ms", "endpoint_ms"} <= set(entry)
    assert EVENT["image_base64"][:20] not in line


def test_codes_and_types_are_those_of_the_contract(load: Load) -> None:
    handler = load("http://127.0.0.1:9")

    assert handler.STATUS_OF_ERROR == STATUS_OF_ERROR
    callers = sys.modules["callers"]
    assert (callers.PICTURE_TYPES, callers.BYTES_TYPES) == (PICTURE_TYPES, BYTES_TYPES)
