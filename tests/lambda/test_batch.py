"""Events of S3: what becomes a result, what comes again, and who may cause it."""

import copy
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
from tests.events.samples import samples
from tests.inference.invoke_endpoint import Context, Endpoint, Invocation, endpoint_server

Load = Callable[..., ModuleType]
GOOD = b'{"model_version": "0123456789ab", "predictions": [{"label": "pug", "probability": 0.9}]}'
VARIABLES = {
    "BATCH_BUCKET": "bucket",
    "BATCH_PREFIX": "pictures/incoming/",
    "BATCH_RESULTS_PREFIX": "results/",
}
PUT, TEST = (
    next(sample.request for sample in samples("batch") if sample.name == name)
    for name in ("batch-put", "batch-test")
)


@dataclass(kw_only=True, slots=True)
class Bucket:
    """A server in S3's place."""

    url: str = ""
    status: int = 200
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)


@contextmanager
def bucket_server() -> Iterator[Bucket]:
    """Keep what is put, by its path."""
    bucket = Bucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if bucket.status == 200:
                bucket.objects[self.path] = json.loads(body)
            self.send_response(bucket.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with bucket_server() as started:
        yield started


def message(key: str, message_id: str, bucket: str = "bucket") -> dict[str, Any]:
    """A message about one picture."""
    found: dict[str, Any] = copy.deepcopy(PUT["Records"][0])
    event = json.loads(found["body"])
    event["Records"][0]["s3"]["object"]["key"] = key
    event["Records"][0]["s3"]["bucket"]["name"] = bucket
    return {**found, "messageId": message_id, "body": json.dumps(event)}


def s3_event(key: str) -> dict[str, Any]:
    """The event that such a message holds."""
    event: dict[str, Any] = json.loads(message(key, "1")["body"])["Records"][0]
    return event


def by_name(invocation: Invocation) -> tuple[int, dict[str, str], bytes]:
    """An endpoint that a picture's name tells what to answer: 200, 400, 503 ..."""
    status = json.loads(invocation.body)["s3_uri"].rpartition("/")[2].partition("-")[0]
    if status == "200":
        return 200, {}, GOOD
    code = {"400": "bad_request", "404": "not_found", "429": "too_many_requests"}.get(status, "")
    said = json.dumps({"error": {"code": code, "message": "said by the model"}})
    members = {"OriginalStatusCode": int(status), "OriginalMessage": said}
    return 424, {"x-amzn-ErrorType": "ModelError"}, json.dumps(members).encode()


def handle(load: Load, endpoint: Endpoint, bucket: Bucket, event: Any) -> Any:
    """What Lambda would get."""
    handler = load(endpoint.url, AWS_ENDPOINT_URL_S3=bucket.url, **VARIABLES)
    try:
        return handler.handle(event, Context())
    finally:
        s3 = sys.modules["batch"]._s3
        if s3.cache_info().currsize:
            s3().close()


def test_a_picture_becomes_a_result_beside_it(load: Load, bucket: Bucket) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = handle(load, endpoint, bucket, PUT)

    uri = "s3://bucket/pictures/incoming/müde dogs/a+b.jpg"
    message_id = PUT["Records"][0]["messageId"]
    assert reply == {"batchItemFailures": []}
    assert json.loads(endpoint.seen[0].body) == {"s3_uri": uri}
    assert (
        f"request_id={message_id};"
        in (endpoint.seen[0].headers["x-amzn-sagemaker-custom-attributes"])
    )
    ((path, result),) = bucket.objects.items()
    assert path == "/bucket/results/m%C3%BCde%20dogs/a%2Bb.jpg.json"
    assert result == {
        "s3_uri": uri,
        "request_id": message_id,
        "statusCode": 200,
        "body": json.loads(GOOD),
    }


def test_only_what_may_go_better_later_comes_again(load: Load, bucket: Bucket) -> None:
    statuses = ("200", "400", "404", "429", "500", "503", "504")
    messages = [message(f"pictures/incoming/{one}-a.jpg", one) for one in statuses]
    with endpoint_server(by_name) as endpoint:
        reply = handle(load, endpoint, bucket, {"Records": messages})

    again = [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]
    written = {path.rpartition("/")[2]: done["statusCode"] for path, done in bucket.objects.items()}
    assert again == ["429", "500", "503", "504"]
    assert written == {"200-a.jpg.json": 200, "400-a.jpg.json": 400, "404-a.jpg.json": 404}
    assert bucket.objects["/bucket/results/400-a.jpg.json"]["body"] == {
        "error": {"code": "bad_request", "message": "said by the model"}
    }


def test_a_result_that_cannot_be_written_comes_again(load: Load, bucket: Bucket) -> None:
    bucket.status = 403
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = handle(load, endpoint, bucket, PUT)

    assert reply["batchItemFailures"] == [{"itemIdentifier": PUT["Records"][0]["messageId"]}]


def test_the_test_of_s3_is_done_with(load: Load, bucket: Bucket) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = handle(load, endpoint, bucket, TEST)

    assert (reply, endpoint.seen, bucket.objects) == ({"batchItemFailures": []}, [], {})


def test_a_folder_of_the_console_is_done_with(load: Load, bucket: Bucket) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = handle(load, endpoint, bucket, {"Records": [message("pictures/incoming/a/", "1")]})

    assert (reply, endpoint.seen, bucket.objects) == ({"batchItemFailures": []}, [], {})


@pytest.mark.parametrize(
    "strange",
    [
        message("pictures/elsewhere/a.jpg", "1"),
        message("pictures/incoming/a.jpg", "1", bucket="other"),
        {**PUT["Records"][0], "messageId": "1", "body": "hello"},
        {**PUT["Records"][0], "messageId": "1", "body": "[]"},
        {**PUT["Records"][0], "messageId": "1", "body": '{"Records": [{}]}'},
    ],
)
def test_what_is_no_picture_of_ours_is_not_asked_for_and_ends_as_dead_letter(
    strange: dict[str, Any], load: Load, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = handle(load, endpoint, bucket, {"Records": [strange]})

    assert reply == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert (endpoint.seen, bucket.objects) == ([], {})
    assert json.loads(capsys.readouterr().out)["code"] == "internal"


def test_events_without_a_queue_fail_as_a_whole_when_one_has_to_wait(
    load: Load, bucket: Bucket
) -> None:
    events = [s3_event(f"pictures/incoming/{one}-a.jpg") for one in ("503", "200")]
    with endpoint_server(by_name) as endpoint, pytest.raises(RuntimeError, match="1 of 2 pictures"):
        handle(load, endpoint, bucket, {"Records": events})

    assert list(bucket.objects) == ["/bucket/results/200-a.jpg.json"]


def test_events_without_a_queue_are_answered(load: Load, bucket: Bucket) -> None:
    event = {"Records": [s3_event("pictures/incoming/200-a.jpg")]}
    with endpoint_server(by_name) as endpoint:
        reply = handle(load, endpoint, bucket, event)

    assert (reply, len(bucket.objects)) == ({"batchItemFailures": []}, 1)


def test_where_the_settings_have_no_batch_an_event_is_a_wrong_request(load: Load) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = load(endpoint.url).handle(PUT, Context())

    assert (reply["statusCode"], endpoint.seen) == (400, [])
    assert "'Records'" in reply["body"]["error"]["message"]


def test_each_picture_is_a_line_of_the_log(
    load: Load, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [message(f"pictures/incoming/{one}-a.jpg", one) for one in ("200", "503")]
    with endpoint_server(by_name) as endpoint:
        handle(load, endpoint, bucket, {"Records": messages})

    good, busy = map(json.loads, capsys.readouterr().out.splitlines())
    assert (good["request_id"], good["status"], good["source"]) == ("200", 200, "batch")
    assert good["s3_uri"] == "s3://bucket/pictures/incoming/200-a.jpg"
    assert (busy["request_id"], busy["code"], busy["Errors"]) == ("503", "unavailable", 1)
