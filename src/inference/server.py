"""The serving process: a small parent that keeps the port open, and a worker that answers.

The parent binds the port and imports the heavy libraries, then forks the worker. A worker that
is killed is replaced within a fraction of a second; requests that arrive in between wait in the
port's queue. The worker accepts connections only once its model is loaded and warmed up, so a
/ping that answers means that the model answers.
"""

import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from contract.strict import ContractError
from inference.logs import log_as_json
from inference.runtimes import choose

DRAIN_SECONDS = 20
"""Requests in flight get so long after SIGTERM; SageMaker sends SIGKILL after 30 seconds."""
QUEUE_PER_THREAD = 8
"""Requests that may wait for each thread; more would only wait longer than callers do."""
REFUSED = 3
"""The exit status of a server whose model is not fit to serve."""
_STILLBORN_LIMIT = 3
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the container's environment says."""

    model_folder: Path
    port: int
    """0 lets the system choose; the log line `listening` names it."""


def read_options(environment: Mapping[str, str]) -> Options:
    """Read SAGEMAKER_BASE_DIR and SAGEMAKER_BIND_TO_PORT.

    Raises:
        ContractError: the port is not a number from 0 to 65535.
    """
    port = environment.get("SAGEMAKER_BIND_TO_PORT", "8080")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ContractError(f"SAGEMAKER_BIND_TO_PORT is {port!r}; it must be 0 to 65535.")
    base = Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    return Options(model_folder=base / "model", port=int(port))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop.

    Returns:
        0 after SIGTERM or SIGINT, 3 when the model is not fit to serve, 1 when workers keep
        dying.
    """
    del argv  # everything comes from the environment, as containers have it
    log_as_json()
    try:
        options = read_options(os.environ)
        listener = _listen(options.port)
    except (ContractError, OSError) as error:
        _LOG.error("refused to start", extra={"fields": {"reason": str(error)}})
        return REFUSED
    _LOG.info("listening", extra={"fields": {"port": listener.getsockname()[1]}})
    _import_early(options.model_folder)
    return _Parent(options, listener).run()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))  # noqa: S104 (SageMaker connects from outside the container)
    listener.listen(1024)
    return listener


def _import_early(model_folder: Path) -> None:
    """Import what takes seconds before forking, so that a new worker starts without it.

    Importing starts no thread that a worker would miss: torch's and OpenVINO's begin at their
    first use.
    """
    importlib.import_module("inference.worker")
    choose.import_early(model_folder)


class _Parent:
    """Keeps one worker alive."""

    def __init__(self, options: Options, listener: socket.socket) -> None:
        self._options = options
        self._listener = listener
        self._worker_pid = 0
        self._stopping = False

    def run(self) -> int:
        for number in _STOP_SIGNALS:
            signal.signal(number, self._stop)
        stillborn = 0
        while True:
            begun = time.monotonic()
            ready, status = self._one_worker()
            if self._stopping:
                return 0
            if status == REFUSED:
                return REFUSED
            seconds = round(time.monotonic() - begun, 3)
            fields = {"status": status, "ready": ready, "lived_seconds": seconds}
            _LOG.error("the worker died; starting another", extra={"fields": fields})
            stillborn = 0 if ready else stillborn + 1
            if stillborn == _STILLBORN_LIMIT:
                _LOG.error("gave up", extra={"fields": {"reason": "no worker became ready"}})
                return 1

    def _one_worker(self) -> tuple[bool, int]:
        """Run one worker to its end.

        Returns:
            Whether it became ready, and its exit status (negative: the signal that ended it).
        """
        ours, theirs = socket.socketpair()
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        self._worker_pid = os.fork()
        if self._worker_pid == 0:
            ours.close()
            _become_worker(self._options, self._listener, theirs)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        theirs.close()
        if self._stopping:
            os.kill(self._worker_pid, signal.SIGTERM)
        with ours:
            ready = ours.recv(1) != b""
            _, status = os.waitpid(self._worker_pid, 0)
            self._worker_pid = 0
        return ready, os.waitstatus_to_exitcode(status)

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True
        self._listener.close()
        if self._worker_pid:
            os.kill(self._worker_pid, signal.SIGTERM)


def _become_worker(options: Options, listener: socket.socket, parent: socket.socket) -> NoReturn:
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    worker = importlib.import_module("inference.worker")
    status = 1
    try:
        status = worker.serve(options.model_folder, listener, lambda: parent.send(b"+"))
    except ContractError as error:
        _LOG.error("refused to start", extra={"fields": {"reason": str(error)}})
        status = REFUSED
    except Exception:
        _LOG.exception("the worker failed")
    finally:
        sys.stdout.flush()
        os._exit(status)  # not through the parent's clean-up, which it inherited


def _end_with(parent: socket.socket) -> None:
    """End this worker as soon as its parent is gone, however that happened."""
    try:
        parent.recv(1)  # it never sends anything: this returns, or fails, when it is gone
    finally:
        os._exit(1)
