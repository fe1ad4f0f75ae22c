"""The line that a request leaves, as CloudWatch reads metrics from it."""

import base64
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from tests.events.samples import picture
from tests.inference.invoke_endpoint import Context, endpoint_server

Load = Callable[..., ModuleType]
GOOD = b'{"model_version": "0123456789ab", "predictions": []}'
EVENT = {"image_base64": base64.b64encode(picture("rgb.jpg")).decode()}


def metrics(line: dict[str, Any]) -> dict[tuple[str, ...], float]:
    """Metrics by name and dimensions, as the embedded format's specification says."""
    found = {}
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "Kennel"
        for dimensions in directive["Dimensions"]:
            assert all(isinstance(line[name], str) for name in dimensions)
            for metric in directive["Metrics"]:
                where = (metric["Name"], *(f"{name}={line[name]}" for name in dimensions))
                found[where] = float(line[metric["Name"]])
    return found


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_answer_is_measured(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        handler = load(endpoint.url, AWS_LAMBDA_FUNCTION_NAME="kennel")
        for _ in range(2):
            handler.handle(EVENT, Context())

    first, second = map(metrics, lines(capsys.readouterr().out))
    function = "FunctionName=kennel"
    assert {name for name, *_ in first} == {
        "ColdStart", "EndpointLatency", "Errors", "Latency", "PictureBytes",
    }  # fmt: skip
    assert (first["ColdStart", function], second["ColdStart", function]) == (1, 0)
    assert first["PictureBytes", function] == len(picture("rgb.jpg"))
    assert first["Errors", function] == 0
    assert 0 < first["EndpointLatency", function] <= first["Latency", function]


def test_an_error_is_counted_by_its_code(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    busy = (424, {"x-amzn-ErrorType": "ModelError"}, b'{"OriginalStatusCode": 503}')
    with endpoint_server(lambda _: busy) as endpoint:
        load(endpoint.url, AWS_LAMBDA_FUNCTION_NAME="kennel").handle(EVENT, Context())

    (found,) = map(metrics, lines(capsys.readouterr().out))
    assert found["Errors", "FunctionName=kennel"] == 1
    assert found["Errors", "FunctionName=kennel", "Code=unavailable"] == 1


def test_a_request_that_was_refused_at_once_has_no_latency_of_the_endpoint(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        load(endpoint.url).handle({"url": "http://a.example/dog.jpg"}, Context())

    (found,) = map(metrics, lines(capsys.readouterr().out))
    assert {name for name, *_ in found} == {"ColdStart", "Errors", "Latency"}
