"""From what became of each request to the figures of a table."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.serving.load import Load

REJECTED = (429, 503)
"""Statuses that say: not now."""
LAG_LIMIT_MS = 5.0
"""A load of which more than one request in a hundred was sent later than this is not valid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """How long requests took, in milliseconds."""

    p50: float
    p90: float
    p99: float
    most: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a load showed."""

    requests: int
    rate: float
    """Requests answered with 200, and inside the deadline if there is one, per second."""
    answered: Times
    """Of those with 200."""
    rejected: Times
    statuses: dict[str, int]
    """How many replies had each status; requests without reply by what went wrong."""
    late: int
    """Answered with 200, but after the deadline."""
    lag: Times
    """How much later than scheduled the client sent."""

    @property
    def answers(self) -> int:
        """Replies of status 200."""
        return self.statuses.get("200", 0)

    @property
    def rejections(self) -> int:
        """Replies that say: not now."""
        return sum(self.statuses.get(str(status), 0) for status in REJECTED)

    @property
    def errors(self) -> int:
        """Everything that is neither an answer nor a rejection."""
        return self.requests - self.answers - self.rejections

    @property
    def valid(self) -> bool:
        """Whether the client kept its schedule."""
        return self.lag.p99 <= LAG_LIMIT_MS


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed; 0 of none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def times(seconds: Sequence[float]) -> Times:
    """Percentiles of durations."""
    ms = [1000 * value for value in seconds]
    return Times(
        p50=percentile(ms, 0.5), p90=percentile(ms, 0.9), p99=percentile(ms, 0.99),
        most=max(ms, default=0.0),
    )  # fmt: skip


def figures(load: Load, deadline_seconds: float = math.inf) -> Figures:
    """Sum up a load.

    Latency counts from the schedule, so it holds what a request waited for the client too;
    `Figures.valid` says whether that was little.
    """
    took = [(sample.done - sample.scheduled, sample) for sample in load.samples]
    answered = [seconds for seconds, sample in took if sample.status == 200]
    in_time = sum(seconds <= deadline_seconds for seconds in answered)
    counts = Counter(s.fault or str(s.status) for s in load.samples)
    return Figures(
        requests=len(load.samples),
        rate=in_time / load.seconds,
        answered=times(answered),
        rejected=times([seconds for seconds, sample in took if sample.status in REJECTED]),
        statuses=dict(sorted(counts.items())),
        late=len(answered) - in_time,
        lag=times([sample.started - sample.scheduled for sample in load.samples]),
    )
