"""The front's side of the zygote: orders workers from it, and keeps one running."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference.zygote import ONE_THREAD, ORDER

BIRTH_SECONDS = 10
"""A zygote that has not forked so long after an order is taken to hang, and replaced."""
IMPORT_SECONDS = 240
_MAX_FAILURES = 3
_SOURCE = Path(__file__).parents[1]
_LOG = logging.getLogger(__name__)


class Nursery:
    """Orders workers; a zygote that ends or hangs is replaced, and owed workers ordered again."""

    def __init__(self, model_folder: Path) -> None:
        """Start a zygote at once: its imports take longer than anything else at the start."""
        self._model_folder = model_folder
        self._lifeline, self._ours = os.pipe()  # closed by the kernel when this process ends
        self._owed: dict[int, tuple[int, socket.socket]] = {}
        """Workers that are ordered and not born: core and the worker's end of its socket."""
        self._imported = False
        self._failures = 0
        self._timer: asyncio.TimerHandle | None = None
        self._said = b""
        self._start()

    def connect(
        self,
        born: Callable[[int, int], None],
        died: Callable[[int, int | None], None],
        orphaned: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """Begin to listen, on the running loop.

        Args:
            born: told a worker's number and process id.
            died: told a process id and its status, negative for the signal that ended it.
            orphaned: called when the zygote is gone: of its workers nobody will say how they end.
            failed: called when no zygote comes up.
        """
        self._born, self._died, self._orphaned, self._failed = born, died, orphaned, failed
        self._listen()

    def order(self, number: int, core: int | None) -> socket.socket:
        """Order a worker.

        Returns:
            This end of its socket.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._owed[number] = (-1 if core is None else core, theirs)
        if self._imported:
            self._send(number)
        return ours

    def stop(self) -> None:
        """End the zygote for good."""
        self._unlisten()
        for _, theirs in self._owed.values():
            theirs.close()
        self._process.kill()
        self._process.wait()
        self._orders.close()
        os.close(self._ours)
        os.close(self._lifeline)

    def _start(self) -> None:
        self._orders, theirs = socket.socketpair()
        self._orders.setblocking(False)
        self._imported, self._said = False, b""
        # -P keeps the working folder, which the model's archive fills, off the import path.
        command = [sys.executable, "-P", "-m", "inference.zygote"]
        handed = (theirs.fileno(), self._lifeline)
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(_SOURCE)}
        self._process = subprocess.Popen(
            [*command, *map(str, handed), str(self._model_folder)],
            env=environment,
            pass_fds=handed,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._orders, self._read)
        self._timer = loop.call_later(IMPORT_SECONDS, self._process.kill)

    def _unlisten(self) -> None:
        asyncio.get_running_loop().remove_reader(self._orders)
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _read(self) -> None:
        try:
            data = self._orders.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._replace()
            return
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._heard(json.loads(line))

    def _heard(self, fact: dict[str, Any]) -> None:
        if fact["event"] == "died":
            self._died(fact["pid"], fact["status"])
            return
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if fact["event"] == "born":
            self._failures = 0
            self._owed.pop(fact["number"])[1].close()
            self._born(fact["number"], fact["pid"])
            self._await_birth()
        else:
            self._imported = True
            for number in list(self._owed):
                self._send(number)

    def _send(self, number: int) -> None:
        core, theirs = self._owed[number]
        try:
            socket.send_fds(self._orders, [ORDER.pack(number, core)], [theirs.fileno()])
        except OSError as error:  # it is gone or stuck: reading says so, or the timer
            _LOG.warning("the zygote takes no order", extra={"fields": {"error": str(error)}})
        self._await_birth()

    def _await_birth(self) -> None:
        if self._owed and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(BIRTH_SECONDS, self._process.kill)

    def _replace(self) -> None:
        """Workers that live go on without their zygote: only its end of the orders is closed."""
        self._unlisten()
        self._orders.close()
        self._process.kill()
        fields = {"status": self._process.wait()}
        self._orphaned()
        self._failures += 1
        if self._failures == _MAX_FAILURES:
            _LOG.error("the zygote died", extra={"fields": fields})
            self._failed()
            return
        _LOG.error("the zygote died; starting another", extra={"fields": fields})
        self._start()
        self._listen()
