"""One instance behind an endpoint: a serving process that is watched, and started again."""

import contextlib
import http.client
import itertools
import shutil
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from localaws import processes
from localaws.core import LocalAws
from localaws.hosting.model import ModelError, container_of, fetch_model
from localaws.images import ImageError, pull_image

PING_SECONDS = 0.1
REPORT_SECONDS = 60.0
WATCH_SECONDS = 5.0
MAX_FAILED_PINGS = 6
MAX_EARLY_EXITS = 3
GRACE_SECONDS = 30.0
"""Between SIGTERM and SIGKILL."""
_NUMBERS = itertools.count(1)


class Instance:
    """Starting, then healthy, until it is stopped; `failure` says why it never became healthy."""

    def __init__(
        self,
        aws: LocalAws,
        *,
        endpoint: str,
        variant: Mapping[str, Any],
        model: Mapping[str, Any],
        on_line: Callable[[str, str, str], None],
        changed: Callable[[], None],
    ) -> None:
        self.id = f"i-{uuid.uuid4().hex[:17]}"
        self.variant: str = variant["VariantName"]
        self.port = 0
        self.healthy = False
        self.failure: str | None = None
        self.in_flight = 0
        """Counted by the fleet, under its lock."""
        self.used = time.monotonic()
        """When a request last began or ended."""
        self._busy_seconds = 0.0
        self._told = (self.used, 0.0)
        self.pid: int | None = None
        self.last_lines: deque[str] = deque(maxlen=20)
        self._aws = aws
        self._endpoint = endpoint
        self._model = model
        self._role_arn: str = model["ExecutionRoleArn"]
        self._on_line = on_line
        self._changed = changed
        seconds = variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or 480
        self._startup_seconds = float(seconds)
        self._root = aws.folder / "endpoints" / endpoint / self.variant / str(next(_NUMBERS))
        self._process: processes.Process | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"serve-{self.id}", daemon=True)
        self._thread.start()

    def count(self, change: int) -> None:
        """A request begins (1) or ends (-1); called under the fleet's lock."""
        now = time.monotonic()
        self._busy_seconds += self.in_flight * (now - self.used)
        self.used = now
        self.in_flight += change

    def mean_requests(self) -> float:
        """Mean number of requests at once since last asked; called under the fleet's lock."""
        now = time.monotonic()
        busy_seconds = self._busy_seconds + self.in_flight * (now - self.used)
        since, before = self._told
        self._told = (now, busy_seconds)
        return (busy_seconds - before) / max(1e-6, now - since)

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """End the process for good."""
        self._stopping.set()
        self.healthy = False
        process = self._process
        if process:
            process.terminate(grace_seconds)
        self._thread.join(grace_seconds + 15)
        if self._process:
            self._process.kill()
        shutil.rmtree(self._root, ignore_errors=True)

    def _run(self) -> None:
        try:
            pull_image(self._aws, self._role_arn, str(container_of(self._model).get("Image", "")))
            fetch_model(self._aws, self._model, self._root / "opt" / "ml" / "model")
        except (ModelError, ImageError) as error:
            self._fail(str(error))
            return
        except Exception as error:
            self._fail(f"The instance could not be prepared: {error!r}")
            return
        deadline = time.monotonic() + self._startup_seconds
        exits = 0
        ever_healthy = False
        while not self._stopping.is_set():
            process = self._start()
            if self._wait_until_healthy(process, None if ever_healthy else deadline):
                ever_healthy = True
                exits = 0
                self._set_healthy(True)
                self._watch(process)
                self._set_healthy(False)
            process.kill()
            exits += 1
            if self._stopping.is_set():
                return
            late = time.monotonic() > deadline
            if not ever_healthy and (exits >= MAX_EARLY_EXITS or late):
                self._fail(self._unhealthy())
                return
            if exits > 1:
                self._stopping.wait(min(0.2 * 2**exits, 10))

    def _start(self) -> processes.Process:
        self.port = _free_port()
        opt_ml = self._root / "opt" / "ml"
        environment = container_of(self._model).get("Environment") or {}
        process = processes.start(
            ["python", "code/serve.py"],
            root=self._root,
            cwd=opt_ml / "model",
            env={
                "AWS_CONFIG_FILE": "/dev/null",
                "AWS_DEFAULT_REGION": self._aws.region,
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_REGION": self._aws.region,
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
                "SAGEMAKER_BASE_DIR": str(opt_ml),
                **environment,
                **self._way_to_aws(),
                "SAGEMAKER_BIND_TO_PORT": str(self.port),
            },
            on_line=self._line,
            output=self._root / "serve.log",
        )
        self._process = process
        self.pid = process.pid
        if self._stopping.is_set():
            process.kill()
        return process

    def _way_to_aws(self) -> dict[str, str]:
        """An isolated container has neither credentials nor a network to use them on."""
        if self._model.get("EnableNetworkIsolation"):
            return {}
        credentials = self._aws.serve_credentials(self._role_arn, "SageMaker")
        return {"AWS_ENDPOINT_URL": self._aws.url, **credentials}

    def _wait_until_healthy(self, process: processes.Process, deadline: float | None) -> bool:
        started = time.monotonic()
        end = deadline or started + self._startup_seconds
        while not self._stopping.is_set() and time.monotonic() < end:
            if process.wait(PING_SECONDS) is not None:
                process.wait_all(2)
                return False
            if self._ping():
                return True
        return False

    def _watch(self, process: processes.Process) -> None:
        failed = 0
        report_at = 0.0
        while True:
            if time.monotonic() >= report_at:
                report_at = time.monotonic() + REPORT_SECONDS
                self._report()
            if process.wait(WATCH_SECONDS) is not None or failed == MAX_FAILED_PINGS:
                return
            failed = 0 if self._ping() else failed + 1

    def _report(self) -> None:
        """What AWS measures inside an instance, it writes with the model's role."""
        disk = shutil.disk_usage(self._root)
        dimensions = {"EndpointName": self._endpoint, "VariantName": self.variant}
        self._aws.metric(
            "/aws/sagemaker/Endpoints",
            "DiskUtilization",
            100 * disk.used / disk.total,
            "Percent",
            dimensions,
            self._role_arn,
        )

    def _ping(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/ping")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    def _line(self, line: str) -> None:
        self.last_lines.append(line)
        self._on_line(f"{self.variant}/{self.id}", line, self._role_arn)

    def _set_healthy(self, healthy: bool) -> None:
        self.healthy = healthy and not self._stopping.is_set()
        self._changed()

    def _fail(self, why: str) -> None:
        self.failure = why
        self._changed()

    def _unhealthy(self) -> str:
        lines = [line for line in self.last_lines if line.strip()][-5:]
        tail = f" Last lines of its log: {' | '.join(lines)}" if lines else ""
        return (
            f"The primary container for production variant {self.variant} did not pass the ping "
            f"health check. Please check CloudWatch logs for this endpoint.{tail}"
        )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
