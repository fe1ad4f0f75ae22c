"""The process that holds the model and looks at pictures, one request at a time."""

import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from contract.strict import ContractError
from inference.answering import respond
from inference.frames import pack, receive
from inference.predictor import Predictor, load_predictor

_LOG = logging.getLogger(__name__)


def work(front: socket.socket, lifeline: int, model_folder: Path, core: int | None) -> int:
    """Load the model, say so, then answer until the front process is gone.

    Args:
        front: where requests come from and replies go.
        lifeline: a pipe that ends with the front process, however it ends.
        model_folder: the extracted model archive.
        core: the one to stay on; None for any.

    Returns:
        The exit status.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # for the group: the front decides who ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    begun = time.monotonic()
    try:
        predictor = load_predictor(model_folder, os.environ, threads=1)
    except ContractError as error:
        front.sendall(pack({"refused": str(error)}))
        return 0
    seconds = round(time.monotonic() - begun, 3)
    front.sendall(pack({"ready": {**_described(predictor), "load_seconds": seconds}}))
    while frame := receive(front):
        head, body = frame
        front.sendall(pack({"pong": True}) if "ping" in head else _answered(predictor, head, body))
    return 0


def _described(predictor: Predictor) -> dict[str, Any]:
    runtime = predictor.runtime
    return {"runtime": runtime.name, "processor": runtime.processor}


def _answered(predictor: Predictor, head: dict[str, Any], body: bytes) -> bytes:
    response = respond(
        predictor,
        body,
        content_type=head["content_type"],
        accept=head["accept"],
        attributes=head["attributes"],
        left_seconds=head["left_seconds"],
    )
    answer = {
        "status": response.status,
        "content_type": response.content_type,
        "headers": dict(response.headers),
        "stage_ms": dict(response.stage_ms),
        "facts": dict(response.facts),
    }
    return pack(answer, response.body)


def _end_with(lifeline: int) -> None:
    """End this worker as soon as the front process is gone, whatever it is doing."""
    try:
        os.read(lifeline, 1)  # nothing is ever written: this returns, or fails, when it is gone
    finally:
        os._exit(1)
