"""What GET /metrics shows, in Prometheus' words."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts for as long as the front process lives."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "kennel_requests_total", "Requests to /invocations, by status.", ["code"],
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "kennel_request_seconds", "From a request's headers to its reply.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.stages = Histogram(
            "kennel_stage_seconds", "Where an answered request's time went.", ["stage"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.rejected = Counter(
            "kennel_rejected_total", "Requests and connections turned away, by reason.",
            ["reason"], registry=registry,
        )  # fmt: skip
        self.deaths = Counter(
            "kennel_worker_deaths_total", "Workers that ended and were replaced.",
            registry=registry,
        )  # fmt: skip
        self.queue = Gauge("kennel_queue_length", "Requests that wait.", registry=registry)
        self.ready = Gauge("kennel_workers_ready", "Workers with a model.", registry=registry)

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)
