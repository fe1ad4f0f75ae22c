"""Execution environments of all functions: how many run at once, and which one is free."""

import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from localaws.core import AwsError, LocalAws
from localaws.functions.code import Code
from localaws.functions.environment import INIT_SECONDS, Environment, Outcome
from localaws.quotas import LAMBDA_CONCURRENCY
from localaws.recorder import Recorder

MIN_UNRESERVED = 100
"""Of a usual account; a new one must leave all that it has."""
IDLE_SECONDS = 300.0
MAX_AGE_SECONDS = 2400.0
"""Shorter than the credentials of an environment live."""


class Held:
    """One environment with where it writes its log."""

    def __init__(self, environment: Environment, key: str, stream: str, provisioned: bool) -> None:
        self.environment = environment
        self.key = key
        self.stream = stream
        self.provisioned = provisioned
        self.fresh = True
        self.tail: list[str] = []


class Pool:
    """Starts, reuses and ends environments."""

    def __init__(self, aws: LocalAws, code: Code, recorder: Recorder) -> None:
        self.reserved: dict[str, int] = {}
        """Reserved concurrency by function name."""
        self.account_limit = int(LAMBDA_CONCURRENCY.value)
        self.min_unreserved = min(MIN_UNRESERVED, self.account_limit)
        self._aws = aws
        self._code = code
        self._recorder = recorder
        self._lock = threading.Lock()
        self._in_flight: Counter[str] = Counter()
        self._idle: list[Held] = []
        self._busy: set[Held] = set()
        self._number = itertools.count(1)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._tidy, name="idle-environments", daemon=True)
        self._thread.start()

    @property
    def unreserved(self) -> int:
        """What all functions without a reservation share."""
        return self.account_limit - sum(self.reserved.values())

    @contextmanager
    def slot(self, function: str) -> Iterator[int]:
        """Count one invocation; gives how many of the function run now.

        Raises:
            AwsError: TooManyRequestsException.
        """
        with self._lock:
            if function in self.reserved:
                limit, used = self.reserved[function], self._in_flight[function]
                reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
            else:
                limit = self.unreserved
                used = sum(n for name, n in self._in_flight.items() if name not in self.reserved)
                reason = "ConcurrentInvocationLimitExceeded"
            if used >= limit:
                raise AwsError(
                    "TooManyRequestsException",
                    "Rate Exceeded.",
                    429,
                    {"Reason": reason, "Type": "User", "retryAfterSeconds": "1"},
                )
            self._in_flight[function] += 1
            now = self._in_flight[function]
        try:
            yield now
        finally:
            with self._lock:
                self._in_flight[function] -= 1

    def take(self, configuration: Mapping[str, Any]) -> tuple[Held, Outcome | None]:
        """A free environment of this version, or a new one; and what failed when it started."""
        key = key_of(configuration)
        ended: list[Held] = []
        with self._lock:
            found = None
            for held in [held for held in self._idle if held.key == key]:
                self._idle.remove(held)
                if held.environment.usable:
                    found = held
                    self._busy.add(found)
                    break
                ended.append(held)
        for held in ended:
            held.environment.close()
        if found:
            return found, None
        held = self._start(configuration, provisioned=False)
        return held, held.environment.start_up(INIT_SECONDS + float(configuration["Timeout"]))

    def give_back(self, held: Held) -> None:
        """Keep the environment for the next invocation, unless it is broken."""
        held.fresh = False
        with self._lock:
            self._busy.discard(held)
            keep = held.environment.usable and not self._closed.is_set()
            if keep:
                self._idle.append(held)
        if not keep:
            held.environment.close()

    def provision(self, configuration: Mapping[str, Any], count: int) -> None:
        """Keep `count` environments of this version warm.

        Raises:
            AwsError: one of them did not start.
        """
        key = key_of(configuration)
        with self._lock:
            have = sum(h.provisioned and h.key == key for h in (*self._idle, *self._busy))
        for _ in range(count - have):
            held = self._start(configuration, provisioned=True)
            problem = held.environment.start_up(INIT_SECONDS + float(configuration["Timeout"]))
            self.give_back(held)
            if problem:
                raise AwsError("FUNCTION_ERROR_INIT_FAILURE", problem.payload.decode())

    def drop(self, unwanted: Callable[[Held], bool]) -> None:
        """End idle environments; busy ones end after their invocation."""
        with self._lock:
            gone = [held for held in self._idle if unwanted(held)]
            self._idle = [held for held in self._idle if held not in gone]
            for held in self._busy:
                held.environment.broken = held.environment.broken or unwanted(held)
        for held in gone:
            held.environment.close()

    def close(self) -> None:
        """End every environment."""
        self._closed.set()
        self._thread.join(5)
        with self._lock:
            everything = [*self._idle, *self._busy]
            self._idle.clear()
        for held in everything:
            held.environment.close()

    def _start(self, configuration: Mapping[str, Any], *, provisioned: bool) -> Held:
        name, version = configuration["FunctionName"], configuration["Version"]
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{version}]{uuid.uuid4().hex}"
        group, role_arn = log_group(configuration), configuration.get("Role")
        tail: list[str] = []

        def on_line(line: str) -> None:
            tail.append(line)
            self._recorder.line(group, stream, line, role_arn)

        environment = Environment(
            root=self._aws.folder / "functions" / name / str(next(self._number)),
            task_root=self._code.folder(configuration["CodeSha256"]),
            variables=self._variables(configuration, stream, provisioned),
            memory_mb=int(configuration["MemorySize"]),
            on_line=on_line,
        )
        held = Held(environment, key_of(configuration), stream, provisioned)
        held.tail = tail
        with self._lock:
            self._busy.add(held)
        return held

    def _variables(
        self, configuration: Mapping[str, Any], stream: str, provisioned: bool
    ) -> dict[str, str]:
        name, region = configuration["FunctionName"], self._aws.region
        credentials = self._aws.role_credentials(configuration["Role"], name)
        logging = configuration.get("LoggingConfig") or {}
        return {
            **configuration.get("Environment", {}).get("Variables", {}),
            "_HANDLER": configuration["Handler"],
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self._aws.url,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration['Runtime']}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": configuration["Version"],
            "AWS_LAMBDA_INITIALIZATION_TYPE": (
                "provisioned-concurrency" if provisioned else "on-demand"
            ),
            "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
            "AWS_LAMBDA_LOG_LEVEL": _level(logging),
            "AWS_LAMBDA_LOG_GROUP_NAME": log_group(configuration),
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "TZ": ":UTC",
        }

    def _tidy(self) -> None:
        while not self._closed.wait(5):
            now = time.monotonic()

            def too_old(held: Held, now: float = now) -> bool:
                environment = held.environment
                idle = now - environment.last_used > IDLE_SECONDS and not held.provisioned
                return idle or (now - environment.started > MAX_AGE_SECONDS)

            with self._lock:
                gone = [held for held in self._idle if too_old(held)]
                self._idle = [held for held in self._idle if held not in gone]
            for held in gone:
                held.environment.close()


def key_of(configuration: Mapping[str, Any]) -> str:
    """Environments with the same key are alike."""
    parts = ("FunctionName", "Version", "CodeSha256", "LastModified", "Timeout", "MemorySize")
    more = ("Role", "Handler", "Environment", "LoggingConfig")
    return repr([configuration.get(part) for part in (*parts, *more)])


def log_group(configuration: Mapping[str, Any]) -> str:
    """Where the function writes."""
    logging = configuration.get("LoggingConfig") or {}
    return str(logging.get("LogGroup") or f"/aws/lambda/{configuration['FunctionName']}")


def _level(logging: Mapping[str, Any]) -> str:
    default = "INFO" if logging.get("LogFormat") == "JSON" else "WARN"
    level = str(logging.get("ApplicationLogLevel") or default)
    return {"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level)
