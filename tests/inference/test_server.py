"""The server, really started as a process."""

import http.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.events.samples import Sample, body_bytes, outcomes, picture, samples
from tests.inference.model import CLASSES, add_code, build_model, rewrite_card
from tests.inference.serving import Server, serving

from contract.messages import MAX_BODY_BYTES, STATUS_OF_ERROR

pytestmark = pytest.mark.slow
STAGES = {"read", "wait", "parse", "fetch", "decode", "predict"}


@pytest.mark.parametrize("sample", samples("endpoint"), ids=lambda sample: sample.name)
def test_every_sample_gets_its_answer(server: Server, sample: Sample) -> None:
    reply = server.send("POST", "/invocations", body_bytes(sample), sample.request["headers"])

    assert reply.status == sample.expected["status"], reply.text
    assert reply.headers["content-type"] == "application/json"
    if "results" in sample.expected:
        assert outcomes(reply.json["results"]) == sample.expected["results"]
    elif reply.status == 200:
        assert reply.json["model_version"] == "0123456789ab"
        count = sample.expected.get("predictions", len(CLASSES))
        assert len(reply.json["predictions"]) == count
    else:
        assert reply.json["error"]["code"] == sample.expected["code"]
        assert STATUS_OF_ERROR[sample.expected["code"]] == reply.status


def test_probabilities_fall_and_add_up_to_one(server: Server) -> None:
    predictions = server.invoke(picture("rgb.jpg")).json["predictions"]

    shares = [prediction["probability"] for prediction in predictions]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert {prediction["label"] for prediction in predictions} == set(CLASSES)


def test_ping_is_healthy_and_names_the_runtime(server: Server) -> None:
    reply = server.send("GET", "/ping")

    assert (reply.status, reply.json["runtime"]) == (200, "torch-eager-fp32")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/predict", 404), ("GET", "/invocations", 405)],
)
def test_other_paths_and_methods_get_a_typed_error(
    server: Server, method: str, path: str, status: int
) -> None:
    reply = server.send(method, path)

    assert reply.status == status
    assert STATUS_OF_ERROR[reply.json["error"]["code"]] == status


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_refused(server: Server, declared: bool) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    parts = body if declared else iter([body[:3_000_000], body[3_000_000:]])
    connection.request("POST", "/invocations", parts, {"Content-Type": "image/jpeg"})
    reply = connection.getresponse()

    assert (reply.status, b"larger than 6,291,456 bytes" in reply.read()) == (413, True)
    connection.close()


def test_a_picture_over_the_limit_is_refused_in_a_sentence(server: Server) -> None:
    reply = server.invoke(b"x" * 6_000_001)

    assert reply.status == 413
    assert "at most 6,000,000" in reply.json["error"]["message"]


def test_the_callers_request_id_is_in_the_reply_and_in_the_log(server: Server) -> None:
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": "request_id=abc-123"}

    reply = server.invoke(picture("rgb.jpg"), **attributes)

    assert reply.headers["x-request-id"] == "abc-123"
    line = server.wait_for("request", request_id="abc-123")
    assert (line["status"], set(line["stage_ms"])) == (200, STAGES)


def test_many_callers_at_once_get_the_same_answer(server: Server) -> None:
    with ThreadPoolExecutor(8) as callers:
        replies = list(callers.map(lambda _: server.invoke(picture("rgb.jpg")), range(32)))

    assert {reply.status for reply in replies} <= {200, 503}
    answers = {reply.text for reply in replies if reply.status == 200}
    assert len(answers) == 1


def test_a_model_that_answers_its_golden_picture_wrongly_does_not_serve(tmp_path: Path) -> None:
    card = build_model(tmp_path / "model")
    add_code(tmp_path / "model")
    classes = tuple(reversed(card.classes))
    rewrite_card(tmp_path / "model", card, classes=classes)

    with serving(tmp_path) as server:
        status = server.process.wait(timeout=60)
        line = server.wait_for("refused to start")

    assert status == 3
    assert "golden.jpg came out as" in line["reason"]


def test_an_altered_weights_file_does_not_serve(tmp_path: Path) -> None:
    build_model(tmp_path / "model")
    add_code(tmp_path / "model")
    with (tmp_path / "model" / "weights.safetensors").open("ab") as file:
        file.write(b"\0")

    with serving(tmp_path) as server:
        status = server.process.wait(timeout=60)
        line = server.wait_for("refused to start")

    assert status == 3
    assert "weights.safetensors has SHA-256" in line["reason"]


def test_a_wrong_port_is_refused_by_name(base_folder: Path) -> None:
    with (
        pytest.raises(AssertionError, match="SAGEMAKER_BIND_TO_PORT is 'http'"),
        serving(base_folder, SAGEMAKER_BIND_TO_PORT="http") as _,
    ):
        pass
