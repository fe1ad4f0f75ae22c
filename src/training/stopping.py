"""Ending a run early: Ctrl-C, SIGTERM, and the notice that a spot machine is taken away.

A signal raises `StopError` at once, wherever the run is, unless signals are held: then it waits,
so that no step is left half done.
"""

import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from urllib.parse import urlsplit

METADATA_SERVICE = "http://169.254.169.254"
NOTICE_PATH = "latest/meta-data/spot/instance-action"
TOKEN_PATH = "latest/api/token"  # noqa: S105 - a path
TOKEN_SECONDS = 21_600
ASK_SECONDS = 5.0
"""Between two looks for a notice; it comes two minutes before the end."""
SAME_SECONDS = 0.5
"""Signals so close to each other are one: torchrun sends on what the terminal has sent to all."""
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class StopError(Exception):
    """The run was asked to end."""

    def __init__(self, reason: str, code: int, *, between_steps: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        """As a person would say it: SIGTERM, Ctrl-C, a spot notice."""
        self.code = code
        """To exit with."""
        self.goes_on_from: str | None = None
        """Where the checkpoint is that was left, in words."""
        self.between_steps = between_steps
        """Whether the state can be saved; not if somebody did not want to wait."""


class Stopping:
    """Whether the run was asked to end, and when it may hear of it."""

    def __init__(self) -> None:
        self.asked: StopError | None = None
        self.reason: str | None = None
        self.held = False
        self.heard = 0.0
        self.over = False
        """The run is ending already; further signals change nothing."""

    @contextmanager
    def listening(self) -> Iterator["Stopping"]:
        """Hear signals while the block runs; only the main thread may."""
        before = {number: signal.signal(number, self._hear) for number in EXIT_CODES}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def hold(self, held: bool) -> None:
        """Let signals wait from now on, or no longer; a second Ctrl-C never waits.

        Raises:
            StopError: they need not wait any more, and there was one.
        """
        self.held = held
        if not held and self.asked is not None:
            raise self.asked

    def heed(self) -> None:
        """End if that was asked for.

        Raises:
            StopError: it was.
        """
        if self.asked is not None:
            raise self.asked

    def ask(self, reason: str) -> None:
        """Ask the run to end, as SIGTERM does."""
        self.asked = self.asked or StopError(reason, EXIT_CODES[signal.SIGTERM])

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        name, code = NAMES[signal.Signals(number)], EXIT_CODES[signal.Signals(number)]
        first, self.heard = self.heard, time.monotonic()
        if self.over:
            return
        again = self.asked is not None and self.heard - first >= SAME_SECONDS
        if self.held and again and number == signal.SIGINT:
            raise StopError(f"a second {name}", code, between_steps=False)
        self.asked = self.asked or StopError(self.reason or name, code)
        if not self.held:
            raise self.asked


def watch_for_notice(stopping: Stopping, env: Mapping[str, str]) -> threading.Event:
    """Ask EC2's metadata service now and then, in the background, whether the machine goes away.

    Args:
        stopping: hears of it as of SIGTERM.
        env: AWS_EC2_METADATA_SERVICE_ENDPOINT names another service, as for AWS's own SDKs.

    Returns:
        Set it to end the watch.
    """
    ended = threading.Event()
    service = env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", METADATA_SERVICE)

    def watch() -> None:
        while not ended.is_set():
            with suppress(OSError, http.client.HTTPException):  # asked again soon
                if notice := spot_notice(service):
                    stopping.reason = f"a spot notice ({notice})"
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            ended.wait(ASK_SECONDS)

    threading.Thread(target=watch, name="spot notices", daemon=True).start()
    return ended


def spot_notice(service: str) -> str | None:
    """What EC2 says of this machine's end.

    Args:
        service: address of the metadata service (IMDSv2).

    Returns:
        JSON with `action` and `time`, or nothing while there is no notice.
    """
    place = urlsplit(service)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=2.0)
    base = f"{place.path.rstrip('/')}/"
    try:
        lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        connection.request("PUT", base + TOKEN_PATH, headers=lifetime)
        token = connection.getresponse().read().decode()
        connection.request("GET", base + NOTICE_PATH, headers={"X-aws-ec2-metadata-token": token})
        reply = connection.getresponse()
        text = reply.read().decode()
        return " ".join(text.split()) if reply.status == 200 else None
    finally:
        connection.close()
