"""Writes the log lines and datapoints of running programs, in the background and in order."""

import queue
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from localaws.core import LocalAws

FLUSH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Line:
    group: str
    stream: str
    text: str
    role_arn: str | None


@dataclass(frozen=True, slots=True)
class _Datapoint:
    namespace: str
    name: str
    value: float
    unit: str
    dimensions: tuple[tuple[str, str], ...]
    role_arn: str | None


class Recorder:
    """Lines keep their order; counts of the same moment are written as one sum."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._items: queue.SimpleQueue[_Line | _Datapoint] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def line(self, group: str, stream: str, text: str, role_arn: str | None = None) -> None:
        """Write one log event, with a role's rights where one is given."""
        self._items.put(_Line(group, stream, text, role_arn))

    def metric(
        self,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        dimensions: Mapping[str, str],
        role_arn: str | None = None,
    ) -> None:
        """Write one datapoint, with a role's rights where one is given."""
        names = tuple(dimensions.items())
        self._items.put(_Datapoint(namespace, name, value, unit, names, role_arn))

    def flush(self) -> None:
        """Write what is waiting, now."""
        with self._lock:
            lines: dict[tuple[str, str, str | None], list[str]] = defaultdict(list)
            sums: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
            while not self._items.empty():
                item = self._items.get()
                if isinstance(item, _Line):
                    lines[item.group, item.stream, item.role_arn].append(item.text)
                elif item.unit == "Count":
                    sums[item.namespace, item.name, item.dimensions] += item.value
                else:
                    self._aws.metric(
                        item.namespace, item.name, item.value, item.unit, dict(item.dimensions),
                        item.role_arn,
                    )  # fmt: skip
            for (group, stream, role_arn), texts in lines.items():
                self._aws.log(group, stream, texts, role_arn)
            for (namespace, name, dimensions), value in sums.items():
                self._aws.metric(namespace, name, value, "Count", dict(dimensions))

    def close(self) -> None:
        """Write the rest and stop."""
        self._closed.set()
        self._thread.join(10)
        self.flush()

    def _run(self) -> None:
        while not self._closed.wait(FLUSH_SECONDS):
            self.flush()
