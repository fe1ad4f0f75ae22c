"""One synchronous invocation, from the request to the reply."""

import base64
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localaws.core import AwsError, LocalAws
from localaws.functions.environment import Event, Outcome, failed
from localaws.functions.pool import Held, Pool, log_group
from localaws.functions.traces import write_trace
from localaws.recorder import Recorder

MAX_PAYLOAD_BYTES = 6 * 2**20
MAX_EVENT_BYTES = 2**20
TAIL_BYTES = 4096
WEIGHTED = "ChosenByWeight"
"""Marks the configuration of a version that an alias with weights chose."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the function answered."""

    payload: bytes
    error: str | None
    tail: bytes
    """The last 4 KiB of this invocation's log."""


class Invoker:
    """Runs events in environments, and writes their logs and metrics."""

    def __init__(self, aws: LocalAws, pool: Pool, recorder: Recorder) -> None:
        self._aws = aws
        self._pool = pool
        self._recorder = recorder

    def check(self, payload: bytes, limit: int = MAX_PAYLOAD_BYTES) -> None:
        """Refuse what AWS refuses before it runs anything.

        Raises:
            AwsError: too large, or no JSON.
        """
        if len(payload) > limit:
            raise AwsError(
                "RequestTooLargeException",
                f"Request must be smaller than {limit} bytes for the InvokeFunction operation",
                413,
                {"Type": "User"},
            )
        try:
            json.loads(payload or b"{}")
        except ValueError as error:
            raise AwsError(
                "InvalidRequestContentException",
                f"Could not parse request body into json: {error}",
                400,
                {"Type": "User"},
            ) from None

    def run(
        self,
        configuration: Mapping[str, Any],
        payload: bytes,
        *,
        function_arn: str,
        request_id: str = "",
        client_context: str = "",
    ) -> Answer:
        """Run one event.

        Raises:
            AwsError: too many run already.
        """
        name = configuration["FunctionName"]
        request_id = request_id or str(uuid.uuid4())
        try:
            with self._pool.slot(name) as concurrent:
                self._count(name, "ConcurrentExecutions", concurrent)
                return self._run(configuration, payload, function_arn, request_id, client_context)
        except AwsError as problem:
            if problem.code == "TooManyRequestsException":
                self._count(name, "Throttles", 1)
            raise

    def _run(
        self,
        configuration: Mapping[str, Any],
        payload: bytes,
        function_arn: str,
        request_id: str,
        client_context: str,
    ) -> Answer:
        name, timeout = configuration["FunctionName"], float(configuration["Timeout"])
        held, problem = self._pool.take(configuration)
        try:
            log = _Log(self._recorder, log_group(configuration), held, configuration.get("Role"))
            log.line(f"START RequestId: {request_id} Version: {configuration['Version']}")
            started = time.monotonic()
            outcome = problem or held.environment.invoke(
                Event(
                    request_id=request_id,
                    payload=payload or b"{}",
                    function_arn=function_arn,
                    deadline=time.time() + timeout,
                    client_context=client_context,
                )
            )
            seconds = time.monotonic() - started
            outcome = _checked(outcome, request_id, timeout)
            if outcome.error and b"Task timed out" in outcome.payload[:200]:
                log.line(json.loads(outcome.payload)["errorMessage"])
            elif outcome.error and not held.environment.usable:
                log.line(f"RequestId: {request_id} {json.loads(outcome.payload)['errorMessage']}")
            log.line(f"END RequestId: {request_id}")
            log.line(_report(configuration, held, request_id, seconds))
            tail = log.tail()
        finally:
            self._pool.give_back(held)
        write_trace(self._aws, configuration, time.time() - seconds, seconds)
        for dimensions in _dimensions(configuration, function_arn):
            self._recorder.metric("AWS/Lambda", "Invocations", 1, "Count", dimensions)
            failed_ones = 1 if outcome.error else 0
            self._recorder.metric("AWS/Lambda", "Errors", failed_ones, "Count", dimensions)
        self._recorder.metric(
            "AWS/Lambda", "Duration", 1000 * seconds, "Milliseconds", {"FunctionName": name}
        )
        return Answer(payload=outcome.payload, error=outcome.error, tail=tail)

    def _count(self, name: str, metric: str, value: float) -> None:
        unit = "None" if metric == "ConcurrentExecutions" else "Count"
        self._recorder.metric("AWS/Lambda", metric, value, unit, {"FunctionName": name})


class _Log:
    """The lines of one invocation."""

    def __init__(self, recorder: Recorder, group: str, held: Held, role_arn: str | None) -> None:
        self._recorder = recorder
        self._role_arn = role_arn
        self._group = group
        self._held = held
        if not held.fresh:
            held.tail.clear()

    def line(self, text: str) -> None:
        self._held.tail.append(text)
        self._recorder.line(self._group, self._held.stream, text, self._role_arn)

    def tail(self) -> bytes:
        return "".join(f"{line}\n" for line in self._held.tail).encode()[-TAIL_BYTES:]


def _dimensions(configuration: Mapping[str, Any], function_arn: str) -> list[dict[str, str]]:
    """What AWS counts an invocation under: the function, the alias, and the version it chose."""
    own = {"FunctionName": configuration["FunctionName"]}
    resource = function_arn.partition(":function:")[2]
    if ":" not in resource:
        return [own]
    by_alias = {**own, "Resource": resource}
    if not configuration.get(WEIGHTED):
        return [own, by_alias]
    return [own, by_alias, {**by_alias, "ExecutedVersion": configuration["Version"]}]


def _checked(outcome: Outcome, request_id: str, timeout: float) -> Outcome:
    if outcome.error == "timeout":
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        message = f"{stamp} {request_id} Task timed out after {timeout:.2f} seconds"
        return failed("Sandbox.Timedout", message)
    if len(outcome.payload) > MAX_PAYLOAD_BYTES:
        message = (
            f"Response payload size ({len(outcome.payload)} bytes) exceeded maximum allowed "
            f"payload size ({MAX_PAYLOAD_BYTES} bytes)."
        )
        return failed("Function.ResponseSizeTooLarge", message)
    return outcome


def _report(configuration: Mapping[str, Any], held: Held, request_id: str, seconds: float) -> str:
    memory, used = configuration["MemorySize"], held.environment.max_memory_mb
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {1000 * seconds:.2f} ms\t"
        f"Billed Duration: {int(1000 * seconds) + 1} ms\tMemory Size: {memory} MB\t"
        f"Max Memory Used: {used} MB\t"
    )
    if held.fresh and held.environment.init_seconds is not None:
        report += f"Init Duration: {1000 * held.environment.init_seconds:.2f} ms\t"
    return report


def encoded_tail(answer: Answer) -> str:
    """As the header X-Amz-Log-Result has it."""
    return base64.b64encode(answer.tail).decode()
