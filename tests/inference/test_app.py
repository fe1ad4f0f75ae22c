"""The bounded queue, with a network that waits until it is told to go on."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
from tests.events.samples import picture

from contract.model_card import read_card
from inference.app import Service
from inference.pictures import Pictures
from inference.predictor import Predictor
from inference.runtimes.base import Floats


class _Waiting:
    """A runtime that answers once it may."""

    processor = "none"
    golden_probability = None
    name = "waiting"

    def __init__(self) -> None:
        self.may_go = threading.Event()

    def logits(self, images_BCSS: Floats) -> Floats:
        assert self.may_go.wait(30)
        return np.zeros((len(images_BCSS), 4), np.float32)


async def _send(application: Any, body: bytes) -> tuple[int, dict[bytes, bytes]]:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "query_string": b"",
        "headers": [(b"content-type", b"image/jpeg")],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_a_full_queue_says_come_back_and_keeps_what_it_took(base_folder: Path) -> None:
    runtime = _Waiting()
    card = read_card(base_folder / "model")
    predictor = Predictor(card, runtime, Pictures(None), "unreleased")
    application = Service(predictor, threads=1, queue=2).application()

    async def five_at_once() -> list[tuple[int, dict[bytes, bytes]]]:
        waiting = [asyncio.ensure_future(_send(application, picture("rgb.jpg"))) for _ in range(5)]
        refused = [await next(asyncio.as_completed(waiting, timeout=20))]
        assert refused[0][0] == 503  # nobody else can have an answer yet
        runtime.may_go.set()
        return await asyncio.gather(*waiting)

    replies = asyncio.run(five_at_once())

    assert sorted(status for status, _ in replies) == [200, 200, 200, 503, 503]
    assert all(headers[b"retry-after"] == b"1" for status, headers in replies if status == 503)
