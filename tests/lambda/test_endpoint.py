"""How the function asks: its connection, its signature, its address, and what it says of itself."""

import json
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.events.samples import Sample, samples
from tests.inference.invoke_endpoint import Context, endpoint_server

Load = Callable[..., ModuleType]
GOOD = json.dumps(
    {"model_version": "0123456789ab", "predictions": [{"label": "pug", "probability": 0.9}]}
).encode()
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


def http_event(**headers: str) -> dict[str, Any]:
    """A picture over HTTP, with more headers."""
    found = next(sample for sample in samples("function") if sample.name == "function-http_jpeg")
    event = dict(found.request)
    return {**event, "headers": {**event["headers"], **headers}}


def attributes(endpoint: Any) -> dict[str, str]:
    """What came in CustomAttributes with the last request."""
    text = endpoint.seen[-1].headers["x-amzn-sagemaker-custom-attributes"]
    return dict(pair.split("=", 1) for pair in text.split(";"))


def test_requests_one_after_the_other_share_one_connection(load: Load) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        handler = load(endpoint.url)
        replies = [handler.handle(http_event(), Context()) for _ in range(5)]

    assert [reply["statusCode"] for reply in replies] == [200] * 5
    assert (len(endpoint.seen), endpoint.connections) == (5, 1)


def test_an_error_of_the_model_leaves_the_connection_open(load: Load) -> None:
    refused = (424, {"x-amzn-ErrorType": "ModelError"}, b'{"OriginalStatusCode": 503}')
    with endpoint_server(lambda _: refused) as endpoint:
        handler = load(endpoint.url)
        replies = [handler.handle(http_event(), Context()) for _ in range(3)]

    assert [reply["statusCode"] for reply in replies] == [503] * 3
    assert (len(endpoint.seen), endpoint.connections) == (3, 1)


def test_the_endpoint_learns_how_long_the_function_waits(load: Load) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        handler = load(endpoint.url, timeout_seconds=26)
        handler.handle(http_event(), Context(remaining_ms=30_000))
        usual = attributes(endpoint)["deadline_ms"]
        handler.handle(http_event(), Context(remaining_ms=9_999))
        late = attributes(endpoint)["deadline_ms"]

    assert (usual, late) == ("26000", "6000")


@pytest.mark.parametrize("given", ["abc-123", "A" * 64])
def test_a_plain_request_id_of_the_caller_goes_all_the_way(
    given: str, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = load(endpoint.url).handle(http_event(**{"X-Request-Id": given}), Context())

    line = json.loads(capsys.readouterr().out)
    assert attributes(endpoint)["request_id"] == given
    assert endpoint.seen[0].headers["x-amzn-sagemaker-inference-id"] == given
    assert reply["headers"]["x-request-id"] == given
    assert (line["request_id"], line["lambda_request_id"]) == (given, Context().aws_request_id)


@pytest.mark.parametrize("given", ["", "A" * 65, "a;top_k=1", "a\r\nset-cookie: b", "ä", "a b"])
def test_any_other_is_replaced_by_lambdas_own(given: str, load: Load) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = load(endpoint.url).handle(http_event(**{"x-request-id": given}), Context())

    assert attributes(endpoint)["request_id"] == Context().aws_request_id
    assert reply["headers"]["x-request-id"] == Context().aws_request_id


def test_a_refused_request_carries_the_callers_id_too(load: Load) -> None:
    event = {**http_event(**{"x-request-id": "mine"}), "body": "", "isBase64Encoded": False}
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = load(endpoint.url).handle(event, Context())

    assert (reply["statusCode"], reply["headers"]["x-request-id"]) == (400, "mine")


def test_a_trace_is_named_in_the_log_and_passed_on(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        load(endpoint.url, _X_AMZN_TRACE_ID=TRACE).handle(http_event(), Context())

    assert json.loads(capsys.readouterr().out)["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert endpoint.seen[0].headers["x-amzn-trace-id"] == TRACE


def test_the_signature_is_that_of_botocore(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        handler = load(endpoint.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")  # as rotated credentials are seen
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        handler.handle(http_event(), Context())

    (seen,) = endpoint.seen
    scheme, given = seen.headers["authorization"].split(" ", 1)
    parts = dict(part.split("=", 1) for part in given.split(", "))
    signed = {name: seen.headers[name] for name in parts["SignedHeaders"].split(";")}
    request = AWSRequest("POST", endpoint.url + seen.path, headers=signed, data=seen.body)
    request.context["timestamp"] = seen.headers["x-amz-date"]
    auth = SigV4Auth(Credentials("other", "test", "token"), "sagemaker", "us-east-1")
    canonical = auth.string_to_sign(request, auth.canonical_request(request))
    assert scheme == "AWS4-HMAC-SHA256"
    assert parts["Credential"].startswith("other/")
    assert parts["Signature"] == auth.signature(canonical, request)
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(signed)


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("us-east-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-gov-west-1", "amazonaws.com"),
    ],
)
def test_the_address_is_the_one_that_botocore_finds(region: str, suffix: str, load: Load) -> None:
    session = botocore.session.get_session()
    client = session.create_client("sagemaker-runtime", region_name=region)

    address = load("http://127.0.0.1:9").endpoint.address(None, region, suffix)

    assert address == "https://" + re.sub("^https://", "", client.meta.endpoint_url) + (
        "/endpoints/kennel-test/invocations"
    )


def test_what_stands_between_may_answer_for_sagemaker(load: Load) -> None:
    page = (503, {"Content-Type": "text/html"}, b"<h1>busy</h1>")
    with endpoint_server(lambda _: page) as endpoint:
        reply = load(endpoint.url).handle({"s3_uri": "s3://bucket/a.jpg"}, Context())

    assert (reply["statusCode"], reply["body"]["error"]["code"]) == (503, "unavailable")


@pytest.mark.parametrize("sample", samples("function")[:1], ids=lambda sample: sample.name)
def test_a_busy_endpoint_is_asked_once(sample: Sample, load: Load) -> None:
    busy = (424, {"x-amzn-ErrorType": "ModelError"}, b'{"OriginalStatusCode": 503}')
    with endpoint_server(lambda _: busy) as endpoint:
        reply = load(endpoint.url).handle(sample.request, Context())

    assert (reply["statusCode"], len(endpoint.seen)) == (503, 1)
