"""The settings of what serves: the endpoint, its scaling, and the function in front of it."""

import re
from dataclasses import dataclass
from typing import Literal

from contract.strict import require

PREFIX_PATTERN = r"([A-Za-z0-9_.-]+/)+"
"""A folder of the bucket, as settings write it."""
OWN_IMAGE = "own"
"""The endpoint's image that `make image` builds, instead of one of AWS's."""
_ON_X86 = re.compile(rf"{OWN_IMAGE}|ray:.*")
_ARM = re.compile(r"ml\.[a-z]+[0-9]+g[a-z]*\.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """How a new model takes over from the one that serves."""

    kind: Literal["all-at-once", "canary", "linear", "rolling"]
    """All but rolling start a second fleet beside the first; rolling replaces it batch by batch."""

    step_percent: int
    """The canary's share, each linear step, or each rolling batch; all at once ignores it."""

    wait_seconds: int
    """Wait after each step, and before the old fleet goes; an alarm in it turns back."""

    def __post_init__(self) -> None:
        require(5 <= self.step_percent <= 50, "step_percent must be 5 to 50.")
        require(0 <= self.wait_seconds <= 3600, "wait_seconds must be 0 to 3600.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Serverless:
    """The endpoint's size where AWS runs it by the request."""

    max_concurrency: int
    """Most requests at once."""

    memory_mb: int
    """Memory, in MiB; CPU grows with it."""

    provisioned_concurrency: int
    """How many copies are kept warm, and paid for all the time; 0 is none."""

    def __post_init__(self) -> None:
        require(1 <= self.max_concurrency <= 200, "max_concurrency must be 1 to 200.")
        require(
            self.memory_mb in range(1024, 6145, 1024),
            "memory_mb must be 1024, 2048, 3072, 4096, 5120 or 6144.",
        )
        require(
            0 <= self.provisioned_concurrency <= self.max_concurrency,
            "provisioned_concurrency must be 0 to max_concurrency.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """The SageMaker endpoint that serves the model."""

    capture_percent: int
    """Share of requests whose pictures and answers are kept below capture/; 0 keeps none."""

    image: str
    """`own`, which `make image` builds; AWS's prebuilt one as `repository:tag`; or an address."""

    instance_type: str
    """For example ml.c7i.large; serverless has none."""

    max_points_lost: float
    """What a faster runtime may lose, in percent of the validation pictures; else it is refused."""

    mode: Literal["real-time", "serverless", "off"]
    """real-time: instances, day and night; serverless: paid by the request; off: no endpoint."""

    pictures_prefix: str | None
    """Prefix in the bucket whose pictures a request may name; null isolates the container."""

    precision: Literal["auto", "fp32", "bf16", "int8"]
    """auto: the fastest that the model's card accepts and the processor computes."""

    rollout: Rollout
    serverless: Serverless

    def __post_init__(self) -> None:
        require(0 <= self.capture_percent <= 100, "capture_percent must be 0 to 100.")
        require(
            self.image == OWN_IMAGE or ":" in self.image,
            "image must be 'own', repository:tag of one of AWS's, or a full image address.",
        )
        require(
            not _ON_X86.fullmatch(self.image) or not _ARM.match(self.instance_type),
            f"instance_type is {self.instance_type!r}, whose processor is ARM; the image "
            f"{self.image!r} is for x86. Choose a type like ml.c7i.large, or an image of yours.",
        )
        require(
            self.instance_type.startswith("ml."),
            "instance_type must start with 'ml.'.",
        )
        require(0 <= self.max_points_lost <= 100, "max_points_lost must be 0 to 100.")
        require(
            self.pictures_prefix is None
            or re.fullmatch(PREFIX_PATTERN, self.pictures_prefix) is not None,
            "pictures_prefix must be null or end with a slash, like 'pictures/'.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """An HTTP API in front of the function, which turns away what is too much."""

    burst: int
    """Most requests at one moment."""

    requests_per_second: float
    """Most requests a second, on the whole."""

    def __post_init__(self) -> None:
        require(self.burst >= 1, "burst must be at least 1.")
        require(self.requests_per_second > 0, "requests_per_second must be above 0.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Pictures that are put into the bucket are answered there."""

    prefix: str
    """Where they are put; below endpoint.pictures_prefix."""

    results_prefix: str
    """Where their answers are written."""

    def __post_init__(self) -> None:
        for name, prefix in (("prefix", self.prefix), ("results_prefix", self.results_prefix)):
            require(
                re.fullmatch(PREFIX_PATTERN, prefix) is not None,
                f"{name} must end with a slash, like 'pictures/incoming/'.",
            )
        require(
            not self.results_prefix.startswith(self.prefix),
            "results_prefix must not lie below prefix: each answer would be asked for again.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary:
    """How changed function code is tried on a few callers first."""

    percent: int
    """Their share."""

    seconds: int
    """How long it is watched before everybody gets it."""

    def __post_init__(self) -> None:
        require(1 <= self.percent <= 50, "percent must be 1 to 50.")
        require(10 <= self.seconds <= 3600, "seconds must be 10 to 3600.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """The Lambda function that callers talk to."""

    api: Api | None
    """A throttled HTTP API in front; null is the function URL only."""

    batch: Batch | None
    """Answer pictures that are put into the bucket as well; null answers callers only."""

    canary: Canary | None
    """Try changed code on a few callers first; null changes all at once."""

    dead_letters: bool
    """Keep asynchronous calls that failed, in a queue."""

    memory_mb: int
    """Memory, in MiB; CPU grows with it."""

    provisioned_concurrency: int
    """How many copies are kept warm, and paid for all the time; 0 is none."""

    reserved_concurrency: int
    """Most requests in flight at once. Further ones get HTTP 429."""

    shrink_px: int | None
    """Larger pictures are made smaller first, to so many pixels of their shorter side; or null."""

    timeout_seconds: int
    """When a request is given up."""

    traced: bool
    """Send traces to X-Ray."""

    def __post_init__(self) -> None:
        require(128 <= self.memory_mb <= 10240, "memory_mb must be 128 to 10240.")
        require(self.reserved_concurrency >= 1, "reserved_concurrency must be at least 1.")
        require(
            0 <= 2 * self.provisioned_concurrency <= self.reserved_concurrency,
            "provisioned_concurrency must be 0 to half of reserved_concurrency: while code "
            "changes, both versions are warm.",
        )
        require(
            self.batch is None or self.reserved_concurrency >= 3,
            "reserved_concurrency must be at least 3 with a batch, which takes up to 2 of it.",
        )
        require(
            self.shrink_px is None or 256 <= self.shrink_px <= 4096,
            "shrink_px must be null or 256 to 4096.",
        )
        require(5 <= self.timeout_seconds <= 900, "timeout_seconds must be 5 to 900.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """A size of the fleet from a time on, as for office hours."""

    at: str
    """cron(...), rate(...) or at(...), as Application Auto Scaling writes it."""

    max_instances: int
    min_instances: int

    time_zone: str
    """For example Europe/Berlin, or UTC."""

    def __post_init__(self) -> None:
        require(
            re.fullmatch(r"(cron|rate|at)\(.+\)", self.at) is not None,
            f"at is {self.at!r}; it must be cron(...), rate(...) or at(...).",
        )
        require(self.min_instances >= 1, "min_instances must be at least 1.")
        require(
            self.min_instances <= self.max_instances,
            "min_instances must not exceed max_instances.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaling:
    """How far and how fast the endpoint follows its traffic."""

    concurrent_requests_per_instance: float | None
    """Aim at so many requests at once, seen every 10 seconds; or null."""

    invocations_per_instance_per_minute: float | None
    """Aim at so many requests a minute, seen every minute; or null."""

    max_instances: int
    """The ceiling of your bill."""

    min_instances: int
    """What runs at night."""

    scale_in: bool
    """Whether instances are removed again when traffic falls."""

    scale_in_cooldown_seconds: int
    """Wait after removing instances before removing more."""

    scale_out_cooldown_seconds: int
    """Wait after adding instances before adding more."""

    schedules: dict[str, Schedule]
    """Other limits at other times, by name."""

    def __post_init__(self) -> None:
        targets = (self.concurrent_requests_per_instance, self.invocations_per_instance_per_minute)
        require(
            sum(target is not None for target in targets) == 1,
            "give either concurrent_requests_per_instance or invocations_per_instance_per_minute; "
            "the other is null.",
        )
        require(
            all(target is None or target > 0 for target in targets),
            "concurrent_requests_per_instance or invocations_per_instance_per_minute must be "
            "above 0.",
        )
        require(self.min_instances >= 1, "min_instances must be at least 1.")
        require(
            self.min_instances <= self.max_instances,
            "min_instances must not exceed max_instances.",
        )
        require(
            self.scale_in_cooldown_seconds >= 0 and self.scale_out_cooldown_seconds >= 0,
            "cooldowns must not be negative.",
        )
        require(
            all(re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name) for name in self.schedules),
            "schedules must be named by up to 32 lowercase letters, digits and hyphens.",
        )
