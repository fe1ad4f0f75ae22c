"""The instances that serve one endpoint configuration, and who gets the next request."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from localaws.core import LocalAws
from localaws.hosting.capture import Capture
from localaws.hosting.instance import Instance
from localaws.hosting.records import Record

DRAIN_SECONDS = 60.0

Models = Callable[[str], Mapping[str, Any]]


class Fleet:
    """All variants of one endpoint configuration."""

    serverless = False
    patience_seconds = 10.0
    """How long a request waits for a healthy instance."""

    def __init__(
        self,
        aws: LocalAws,
        endpoint: str,
        config: Mapping[str, Any],
        find_model: Models,
        on_line: Callable[[str, str, str], None],
    ) -> None:
        self.config_name: str = config["EndpointConfigName"]
        self.variants: list[dict[str, Any]] = list(config["ProductionVariants"])
        self.desired: dict[str, int] = {}
        self.weights: dict[str, float] = {}
        for variant in self.variants:
            name = variant["VariantName"]
            self.desired[name] = int(variant.get("InitialInstanceCount") or 1)
            self.weights[name] = float(variant["InitialVariantWeight"])
        self._aws = aws
        self._endpoint = endpoint
        # Kept by value: a fleet serves on when its model's record is deleted.
        self._models = {v["VariantName"]: find_model(v["ModelName"]) for v in self.variants}
        self.role_arn: str = self._models[self.variants[0]["VariantName"]]["ExecutionRoleArn"]
        self._on_line = on_line
        capture = config.get("DataCaptureConfig") or {}
        self.capture = (
            Capture(
                aws,
                endpoint,
                capture,
                self.role_arn,
                lambda problem: on_line("data-capture", problem, self.role_arn),
            )
            if capture.get("EnableCapture")
            else None
        )
        self._changed = threading.Condition()
        self._instances: list[Instance] = []

    def instances(self, variant: str | None = None) -> list[Instance]:
        """All, or those of one variant, that are not being ended."""
        with self._changed:
            return [i for i in self._instances if variant in (None, i.variant)]

    def describe(self) -> list[Record]:
        """Every variant as DescribeEndpoint has it."""
        return [
            {
                "VariantName": name,
                "CurrentWeight": self.weights[name],
                "DesiredWeight": self.weights[name],
                **self.size(variant),
            }
            for variant in self.variants
            for name in [variant["VariantName"]]
        ]

    def size(self, variant: Mapping[str, Any]) -> Record:
        """How large a variant is, as DescribeEndpoint has it."""
        name = variant["VariantName"]
        return {
            "CurrentInstanceCount": sum(i.healthy for i in self.instances(name)),
            "DesiredInstanceCount": self.desired[name],
        }

    def scale(self, desired: Mapping[str, int], weights: Mapping[str, float] | None = None) -> None:
        """Start what is missing; `settle` waits for it and ends what is too many."""
        self.desired.update(desired)
        self.weights.update(weights or {})
        for variant in self.variants:
            name = variant["VariantName"]
            for _ in range(self.desired[name] - len(self.instances(name))):
                self._start(variant)

    def settle(self) -> str | None:
        """Wait until every instance is healthy; why one will never be, or None."""
        for name, count in self.desired.items():
            # The idlest leave first.
            order = sorted(self.instances(name), key=lambda i: (not i.healthy, -i.in_flight))
            self._end(order[count:])
        with self._changed:
            while True:
                failures = [i.failure for i in self._instances if i.failure]
                if failures:
                    return failures[0]
                if all(i.healthy for i in self._instances):
                    return None
                self._changed.wait(1)

    def drop_failed(self) -> None:
        """Forget instances that never became healthy."""
        failed = [i for i in self.instances() if i.failure]
        self._end(failed)
        for name in self.desired:
            self.desired[name] = len(self.instances(name))

    @contextmanager
    def borrow(
        self, variant: str | None, avoid: Instance | None, wait_seconds: float
    ) -> Iterator[Instance | None]:
        """The healthy instance with the fewest requests in flight; None when none is in time."""
        chosen = variant or self._choose_variant()

        def idlest() -> Instance | None:
            free = [i for i in self._instances if i.healthy and i.variant == chosen]
            others = [i for i in free if i is not avoid] or free
            return min(others, key=lambda i: i.in_flight, default=None)

        with self._lent(idlest, wait_seconds) as instance:
            yield instance

    @contextmanager
    def _lent(
        self, find: Callable[[], Instance | None], wait_seconds: float
    ) -> Iterator[Instance | None]:
        """What is found, as soon as it is, counted as in use; None when nothing is in time."""
        with self._changed:
            self._changed.wait_for(lambda: find() is not None, wait_seconds)
            instance = find()
            if instance:
                instance.count(1)
        try:
            yield instance
        finally:
            if instance:
                with self._changed:
                    instance.count(-1)
                    self._changed.notify_all()

    def mean_requests(self) -> list[tuple[str, float]]:
        """Of every healthy instance its variant, and its mean requests at once since last asked."""
        with self._changed:
            return [(i.variant, i.mean_requests()) for i in self._instances if i.healthy]

    def tend(self) -> None:
        """Look after the fleet; called every few seconds."""

    def drain(self) -> None:
        """Let requests in flight finish, then end everything."""
        self._end(self.instances())
        if self.capture:
            self.capture.close()

    def stop(self) -> None:
        """End everything at once."""
        self._end(self.instances(), drain_seconds=0, grace_seconds=1)
        if self.capture:
            self.capture.close()

    def _start(self, variant: Mapping[str, Any]) -> None:
        instance = Instance(
            self._aws,
            endpoint=self._endpoint,
            variant=variant,
            model=self._models[variant["VariantName"]],
            on_line=self._on_line,
            changed=self._wake,
        )
        with self._changed:
            self._instances.append(instance)

    def _end(
        self,
        instances: list[Instance],
        drain_seconds: float = DRAIN_SECONDS,
        grace_seconds: float = 30.0,
    ) -> None:
        """Take instances out of the routing, wait for their requests, stop them."""
        end = time.monotonic() + drain_seconds
        with self._changed:
            self._instances = [i for i in self._instances if i not in instances]
            while any(i.in_flight for i in instances) and time.monotonic() < end:
                self._changed.wait(max(0.01, end - time.monotonic()))
        if instances:
            with ThreadPoolExecutor(len(instances)) as pool:
                list(pool.map(lambda i: i.stop(grace_seconds), instances))

    def _choose_variant(self) -> str:
        names, weights = list(self.weights), list(self.weights.values())
        chosen = names[0]
        if len(names) > 1 and any(weights):
            chosen = random.choices(names, weights)[0]  # noqa: S311 - routing, no secret
        return chosen

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
