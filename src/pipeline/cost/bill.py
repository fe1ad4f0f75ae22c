"""The bill: its lines, its sums, and what had to be assumed."""

from dataclasses import dataclass

HOURS = 730
"""Hours of a month, as AWS counts."""
SECONDS = HOURS * 3600
THOUSAND = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """What a plan does not say."""

    milliseconds: float = 130
    """How long the function takes for one request."""
    model_milliseconds: float = 100
    """How long the model takes for one request; paid for by serverless endpoints only."""
    kilobytes: float = 100
    """Size of a picture; the answer is small."""
    log_bytes: float = 1500
    """What function and model log for one request."""
    build_minutes: float = 4
    """How long a build of the endpoint's own image takes."""
    image_gb: float = 0.3
    """What the repository keeps: images share all that did not change."""
    stored_gb: float = 1
    """What lies in the bucket: pictures, models, runs."""

    @property
    def gigabytes(self) -> float:
        """All pictures of a thousand requests."""
        return self.kilobytes * THOUSAND / 1e6


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the bill."""

    what: str
    idle: float = 0.0
    """USD a month when nobody does anything."""
    at_most: float | None = None
    """USD a month when all that may run runs day and night; None is the same as idle."""
    per_thousand: float = 0.0
    """USD for a thousand requests."""
    sources: tuple[str, ...] = ()
    """Names of the sources of its prices."""
    known: bool = True
    """Whether there is a price."""

    @property
    def most(self) -> float:
        """USD a month at most, before requests."""
        return self.idle if self.at_most is None else self.at_most


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """The bill of one stage."""

    region: str
    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    """What has no row in the table of prices."""
    uncounted: tuple[str, ...]
    """Kinds of resources that nobody has looked at."""

    @property
    def idle(self) -> float:
        """USD a month when nobody does anything."""
        return sum(line.idle for line in self.lines)

    @property
    def at_most(self) -> float:
        """USD a month when all that may run runs, before requests."""
        return sum(line.most for line in self.lines)

    @property
    def per_thousand(self) -> float:
        """USD for a thousand requests."""
        return sum(line.per_thousand for line in self.lines)

    @property
    def complete(self) -> bool:
        """Whether everything has a price."""
        return not self.missing and not self.uncounted

    def monthly(self, requests: float) -> float:
        """USD for a month of so many requests, with as many instances as when idle."""
        return self.idle + self.per_thousand * requests / THOUSAND
