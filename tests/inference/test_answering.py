"""Replies as SageMaker's clients want them: lists, CSV and JSON lines, and never an exception."""

import base64
import csv
import json
from pathlib import Path

import pytest
from tests.events.samples import outcomes, picture
from tests.inference.model import CLASSES

from contract.messages import CSV_TYPE, JSON_TYPE, LINES_TYPE
from inference.answering import Response, respond
from inference.predictor import Predictor, load_predictor

BODY = json.dumps(
    {
        "instances": [
            {"image_base64": base64.b64encode(picture(name)).decode()}
            for name in ("rgb.jpg", "truncated.jpg", "grey.jpg")
        ],
        "top_k": 2,
    }
).encode()


@pytest.fixture(scope="module")
def model(base_folder: Path) -> Predictor:
    return load_predictor(base_folder / "model", {"MODEL_VERSION": "0123456789ab"}, threads=1)


def asked(model: Predictor, accept: str | None, left_seconds: float | None = None) -> Response:
    return respond(model, BODY, content_type=JSON_TYPE, accept=accept, left_seconds=left_seconds)


def test_each_picture_of_a_list_gets_what_it_gets_alone(model: Predictor) -> None:
    alone = [
        json.loads(respond(model, picture(name), attributes="top_k=2").body)
        for name in ("rgb.jpg", "grey.jpg")
    ]

    reply = json.loads(asked(model, None).body)

    assert reply["model_version"] == "0123456789ab"
    assert outcomes(reply["results"]) == [2, "bad_request", 2]
    both = [reply["results"][0]["predictions"], reply["results"][2]["predictions"]]
    assert both == [one["predictions"] for one in alone]


def test_csv_has_a_line_for_each_picture(model: Predictor) -> None:
    response = asked(model, "text/csv")

    rows = list(csv.reader(response.body.decode().splitlines()))
    assert (response.status, response.content_type) == (200, CSV_TYPE)
    assert [len(row) for row in rows] == [4, 2, 4]
    assert rows[1] == ["", "bad_request"]
    assert rows[0][0] in CLASSES
    assert float(rows[0][1]) >= float(rows[0][3]) > 0


def test_json_lines_have_an_object_for_each_picture(model: Predictor) -> None:
    response = asked(model, "application/jsonlines")

    lines = [json.loads(line) for line in response.body.decode().splitlines()]
    assert response.content_type == LINES_TYPE
    assert outcomes(lines) == [2, "bad_request", 2]


@pytest.mark.parametrize("accept", [None, "*/*", "application/x-npy", "text/html, */*;q=0.8", ""])
def test_whatever_else_is_accepted_gets_json(model: Predictor, accept: str | None) -> None:
    assert asked(model, accept).content_type == JSON_TYPE


def test_the_first_known_kind_is_taken(model: Predictor) -> None:
    assert asked(model, "text/html, text/csv;q=1, application/json").content_type == CSV_TYPE


def test_pictures_after_the_deadline_are_not_looked_at(model: Predictor) -> None:
    reply = json.loads(asked(model, None, left_seconds=0).body)

    assert outcomes(reply["results"]) == ["timeout"] * 3


def test_an_error_is_json_whatever_is_accepted(model: Predictor) -> None:
    response = respond(model, b"no picture", accept="text/csv")

    assert (response.status, response.content_type) == (415, JSON_TYPE)


def test_a_fault_of_ours_is_told_without_its_reason(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(model, "answer", fail)

    response = respond(model, picture("rgb.jpg"))

    assert (response.status, b"secret" in response.body) == (500, False)
    assert outcomes(json.loads(asked(model, None).body)["results"]) == ["internal"] * 3
