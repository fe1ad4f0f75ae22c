"""The process that holds the model and answers."""

import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from inference.app import Service
from inference.predictor import cores, load_predictor
from inference.server import DRAIN_SECONDS, QUEUE_PER_THREAD

_LOG = logging.getLogger(__name__)


def serve(model_folder: Path, listener: socket.socket, tell_ready: Callable[[], object]) -> int:
    """Load the model, then answer until SIGTERM; requests in flight are finished.

    Pictures are looked at in as many threads as there are cores, each forward pass in one of
    them: that serves most pictures a second, and threads do not fight.

    Raises:
        ContractError: the model is not fit to serve.
    """
    begun = time.monotonic()
    threads = cores()
    predictor = load_predictor(model_folder, os.environ, threads=1)
    service = Service(predictor, threads, QUEUE_PER_THREAD * threads)
    config = uvicorn.Config(
        service.application(),
        access_log=False,
        http="httptools",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,
        ws="none",
    )
    seconds = round(time.monotonic() - begun, 3)
    fields = {
        "runtime": predictor.runtime.name,
        "processor": predictor.runtime.processor,
        "threads": threads,
        "load_seconds": seconds,
    }
    _LOG.info("ready", extra={"fields": fields})
    tell_ready()
    uvicorn.Server(config).run(sockets=[listener])
    return 0
