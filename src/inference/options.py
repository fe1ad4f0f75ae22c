"""What the container's environment says about serving."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.strict import ContractError

REFUSED = 3
"""The exit status of a server whose model is not fit to serve."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How to serve."""

    model_folder: Path
    port: int
    """0 lets the system choose; the log line `listening` names it."""

    workers: int
    """Processes that look at pictures, one at a time each."""

    queue_per_worker: int
    """Requests that may wait for each worker; more would only wait longer than callers do."""

    deadline_ms: int
    """How long a request may take whose caller does not say."""

    job_seconds: float
    """A worker that is busy with one request for longer is taken to hang, and replaced."""

    load_seconds: float
    """A worker that loads for longer is taken to hang, and replaced."""

    heartbeat_seconds: float
    """How often an idle worker is asked whether it is there, and how long it may take to say."""

    worker_memory_mb: int
    """A worker that holds more memory is replaced."""

    lame_duck_seconds: float
    """After SIGTERM new requests are still answered for so long."""

    model_version: str


def read_options(environment: Mapping[str, str]) -> Options:
    """Read the variables that docs/api.md lists.

    Raises:
        ContractError: a number is not one, or out of range.
    """

    def number(name: str, default: int, least: int, most: int) -> int:
        text = environment.get(name) or str(default)
        plain = text.isascii() and text.isdigit() and len(text) <= 9
        if not (plain and least <= int(text) <= most):
            raise ContractError(f"{name} is {text!r:.40}; it must be {least} to {most}.")
        return int(text)

    base = Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    return Options(
        model_folder=base / "model",
        port=number("SAGEMAKER_BIND_TO_PORT", 8080, 0, 65535),
        workers=number("SAGEMAKER_MODEL_SERVER_WORKERS", cores(), 1, 256),
        queue_per_worker=number("QUEUE_PER_WORKER", 16, 0, 1000),
        deadline_ms=number("DEADLINE_MS", 10_000, 1, 60_000),
        job_seconds=number("JOB_MS", 20_000, 1, 600_000) / 1000,
        load_seconds=number("LOAD_MS", 240_000, 1, 3_600_000) / 1000,
        heartbeat_seconds=number("HEARTBEAT_MS", 5_000, 10, 600_000) / 1000,
        worker_memory_mb=number("WORKER_MEMORY_MB", 2048, 16, 1_000_000),
        lame_duck_seconds=number("LAME_DUCK_MS", 1_000, 0, 10_000) / 1000,
        model_version=environment.get("MODEL_VERSION") or "unreleased",
    )


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
