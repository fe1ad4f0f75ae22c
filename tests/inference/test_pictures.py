"""Pictures named by an s3:// address, against a server that speaks S3's protocol."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.events.samples import picture

from contract.messages import RequestError
from contract.strict import ContractError
from inference.pictures import Pictures

ALLOWED = "s3://bucket/pictures/"


class _S3(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = {"/bucket/pictures/a.jpg": 200, "/bucket/pictures/secret.jpg": 403}
        status = found.get(self.path, 404)
        code = {403: b"AccessDenied", 404: b"NoSuchKey"}.get(status, b"")
        body = picture("rgb.jpg") if status == 200 else b"<Error><Code>" + code + b"</Code></Error>"
        if self.path.endswith("/large.jpg"):
            status, body = 200, b""
        self.send_response(status)
        length = 6_000_001 if self.path.endswith("/large.jpg") else len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pictures]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _S3)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    yield Pictures(ALLOWED)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_picture_below_the_prefix_is_read(pictures: Pictures) -> None:
    assert pictures.read("s3://bucket/pictures/a.jpg") == picture("rgb.jpg")


@pytest.mark.parametrize(
    ("name", "code"),
    [("absent.jpg", "not_found"), ("secret.jpg", "unavailable"), ("large.jpg", "too_large")],
)
def test_what_cannot_be_read_has_its_code(pictures: Pictures, name: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        pictures.read(f"s3://bucket/pictures/{name}")

    assert caught.value.code == code


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/pictures/",
        "s3://bucket/pictures",
        "s3://bucket/pictures/../model/a.jpg",
        "s3://bucket/pictures/./a.jpg",
        "s3://bucket/pictures//a.jpg",
        "s3://bucket/pictures/..\\a.jpg",
        "s3://bucket/pictures/a\n.jpg",
        "s3://bucket/pictures2/a.jpg",
        "s3://bucket/model/a.jpg",
        "s3://other/pictures/a.jpg",
        "https://bucket/pictures/a.jpg",
        "pictures/a.jpg",
        "",
    ],
)
def test_any_other_address_is_refused_before_s3_is_asked(uri: str) -> None:
    with pytest.raises(RequestError, match="must name a picture below s3://bucket/pictures/"):
        Pictures(ALLOWED).read(uri)


def test_an_isolated_endpoint_reads_none() -> None:
    with pytest.raises(RequestError, match="does not read S3"):
        Pictures(None).read("s3://bucket/pictures/a.jpg")


@pytest.mark.parametrize("uri", ["bucket/pictures/", "s3://bucket", "s3://bucket/pictures"])
def test_a_wrong_setting_is_refused_by_name(uri: str) -> None:
    with pytest.raises(ContractError, match="PICTURES_URI"):
        Pictures(uri)
