"""A serverless endpoint: copies of the model that are started by requests and end when idle."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from localaws.core import AwsError
from localaws.hosting.fleet import Fleet
from localaws.hosting.instance import Instance
from localaws.hosting.records import Record

MAX_BODY_BYTES = 4 * 1024 * 1024
_IDLE_SECONDS = "LOCALAWS_SERVERLESS_IDLE_SECONDS"


class ServerlessFleet(Fleet):
    """One request at a time for each copy; provisioned copies stay."""

    serverless = True
    patience_seconds = 60.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        [self._variant] = self.variants
        self._config: Record = self._variant["ServerlessConfig"]
        self._kept = int(self._config.get("ProvisionedConcurrency") or 0)
        self._idle_seconds = float(os.environ.get(_IDLE_SECONDS, "300"))
        self._asking = 0
        # The first one shows that the model can start at all.
        self.desired[self._variant["VariantName"]] = max(1, self._kept)

    def size(self, variant: Mapping[str, Any]) -> Record:  # noqa: ARG002 - it has one
        """Its limits, in place of instances."""
        return {"CurrentServerlessConfig": self._config, "DesiredServerlessConfig": self._config}

    @contextmanager
    def borrow(
        self,
        variant: str | None,  # noqa: ARG002 - it has one
        avoid: Instance | None,  # noqa: ARG002 - an idle copy is as good as another
        wait_seconds: float,
    ) -> Iterator[Instance | None]:
        """An idle copy; one more is started when there is none.

        Raises:
            AwsError: MaxConcurrency is reached.
        """
        with self._changed:
            if self._asking >= self._config["MaxConcurrency"]:
                message = (
                    f"Endpoint {self._endpoint} answers {self._asking} requests at once; its "
                    f"MaxConcurrency is {self._config['MaxConcurrency']}."
                )
                raise AwsError("ThrottlingException", message, 429)
            self._asking += 1
            self._grow()
        try:
            with self._lent(self._idle, wait_seconds) as instance:
                yield instance
        finally:
            with self._changed:
                self._asking -= 1

    def tend(self) -> None:
        """End copies that had nothing to do for long, and those that never started."""
        now = time.monotonic()
        with self._changed:
            failed = [i for i in self._instances if i.failure]
            idle = [i for i in self._instances if i.healthy and not i.in_flight]
            idle.sort(key=lambda i: i.used)
            spare = max(0, len(self._instances) - len(failed) - self._kept)
            late = [i for i in idle[:spare] if now - i.used > self._idle_seconds]
        self._end(failed + late)

    def _idle(self) -> Instance | None:
        """The copy that was used last, so that others can end."""
        idle = [i for i in self._instances if i.healthy and not i.in_flight]
        return max(idle, key=lambda i: i.used, default=None)

    def _grow(self) -> None:
        """Start as many copies as requests are asking; called under the lock."""
        alive = sum(not i.failure for i in self._instances)
        for _ in range(self._asking - alive):
            self._start(self._variant)
