"""A process that has imported everything and run nothing, and forks workers when it is told.

The front process serves on an event loop and must not fork; importing takes seconds. This
process stays single-threaded (libraries may keep a sleeping thread of their own; they start it
anew in a child), so that a copy of it is a worker within milliseconds. It reaps its children
and reports each birth and each death, as a JSON object a line.
"""

import contextlib
import gc
import importlib
import json
import logging
import os
import selectors
import signal
import socket
import struct
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from inference.logs import log_as_json

ORDER = struct.Struct("!Ii")
"""The worker's number, and its core or -1; the worker's end of its socket travels along."""
ONE_THREAD = dict.fromkeys(("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Read by the libraries when they are imported: each worker computes in one thread."""
_LOG = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Fork workers until the front process is gone.

    Args:
        argv: the file descriptors of the orders and of the lifeline, and the model's folder.
    """
    arguments = sys.argv[1:] if argv is None else argv
    front = socket.socket(fileno=int(arguments[0]))
    lifeline, model_folder = int(arguments[1]), Path(arguments[2])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    log_as_json()
    # OpenVINO's import leaves a thread asleep; it is not needed by a child, which starts its own.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    importlib.import_module("inference.worker")
    importlib.import_module("inference.runtimes.choose").import_early(model_folder)
    gc.collect()
    gc.freeze()  # what is here now is shared with the workers as long as nobody writes to it
    zygote = _Zygote(front, lifeline, model_folder)
    with contextlib.suppress(ConnectionError):  # the front is gone
        zygote.run()
    signal.set_wakeup_fd(-1)
    return 0


class _Zygote:
    def __init__(self, front: socket.socket, lifeline: int, model_folder: Path) -> None:
        self._front = front
        self._lifeline = lifeline
        self._model_folder = model_folder
        self._children, self._bell = socket.socketpair()
        for end in (self._children, self._bell):
            end.setblocking(False)

    def run(self) -> None:
        """Obey orders and report deaths."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # what rings the bell is that there is one
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(self._front, selectors.EVENT_READ)
        selector.register(self._children, selectors.EVENT_READ)
        self._report({"event": "imported"})
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if self._children in ready:
                with contextlib.suppress(BlockingIOError):
                    self._children.recv(1000)
                self._reap()
            if self._front in ready:
                order, ends, _, _ = socket.recv_fds(self._front, ORDER.size, 1)
                if not order:
                    return
                self._obey(order, ends[0])

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                code = os.waitstatus_to_exitcode(status)
                self._report({"event": "died", "pid": pid, "status": code})

    def _obey(self, order: bytes, theirs: int) -> None:
        number, core = ORDER.unpack(order)
        pid = os.fork()
        if pid == 0:
            self._become_worker(socket.socket(fileno=theirs), core)
        os.close(theirs)
        self._report({"event": "born", "number": number, "pid": pid})

    def _become_worker(self, front: socket.socket, core: int) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (self._front, self._children, self._bell):
                inherited.close()
            worker = importlib.import_module("inference.worker")
            at = core if core >= 0 else None
            status = worker.work(front, self._lifeline, self._model_folder, at)
        except ConnectionError:
            status = 1  # the front is gone
        except Exception:
            _LOG.exception("the worker failed")
        finally:
            sys.stdout.flush()
            os._exit(status)  # not through the clean-up that it inherited

    def _report(self, fact: Mapping[str, object]) -> None:
        self._front.sendall(json.dumps(fact).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
