"""One SSM command on one machine."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localaws.core import LocalAws
from localaws.machines.machine import Machine, MachineOffError
from localaws.processes import Process
from localaws.roles import role_client

MAX_OUTPUT = 24_000
"""Characters of output that Systems Manager keeps; S3 and CloudWatch get all."""
STOPPED_CODE = 137
"""What the agent reports when it ended the command itself."""
_CUT = "\n--output truncated--"
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What the agent on a machine is told."""

    command_id: str
    lines: tuple[str, ...]
    working_directory: str
    timeout_seconds: int
    bucket: str | None
    key_prefix: str
    cloudwatch: Mapping[str, Any] = field(default_factory=dict)
    role_arn: str


class Invocation:
    """Runs an order as Systems Manager's agent does: by `sh`, unless it starts with `#!`."""

    def __init__(self, aws: LocalAws, machine: Machine, order: Order) -> None:
        self.status = "Pending"
        self.status_details = "Pending"
        self._aws = aws
        self._machine = machine
        self._order = order
        self._folder = machine.root / "var" / "lib" / "amazon" / "ssm" / order.command_id
        self._process: Process | None = None
        self._lock = threading.Lock()
        self._cancelled = False
        self._started: float | None = None
        self._ended: float | None = None
        self._code = -1
        self._output = ("", "")

    def start(self) -> None:
        """Run it, in the background."""
        threading.Thread(target=self._run, name=self._order.command_id, daemon=True).start()

    def cancel(self) -> None:
        """End it, unless it has ended."""
        with self._lock:
            self._cancelled = True
            process = self._process
        if process:
            process.kill()

    def _run(self) -> None:
        self._started = time.time()
        status, code = "Failed", -1
        try:
            with self._lock:
                if not self._cancelled:
                    self._process = self._start_process()
                    self.status = self.status_details = "InProgress"
            ended = self._process.wait(self._order.timeout_seconds) if self._process else None
            if ended is None and self._process:
                self._process.kill()
                status, code = "TimedOut", STOPPED_CODE
            if self._cancelled:
                status, code = "Cancelled", STOPPED_CODE
            elif ended is not None:
                code = ended if ended >= 0 else 128 - ended
                status = "Failed" if code else "Success"
        except (MachineOffError, OSError) as error:
            self._output = ("", f"{error}\n")
        else:
            self._read_output(status, code)
        self._ended, self._code = time.time(), code
        self.status_details = "ExecutionTimedOut" if status == "TimedOut" else status
        self.status = status

    def _start_process(self) -> Process:
        self._folder.mkdir(parents=True, exist_ok=True)
        script = self._folder / "_script.sh"
        script.write_text("\n".join(self._order.lines) + "\n")
        script.chmod(0o700)
        given = self._order.working_directory
        return self._machine.start(
            ["/bin/sh", "-c", '"$0" >"$1" 2>"$2"', str(script), *map(str, self._files())],
            cwd=Path(given) if given else None,
        )

    def _files(self) -> tuple[Path, Path]:
        return self._folder / "stdout", self._folder / "stderr"

    def _read_output(self, status: str, code: int) -> None:
        texts = [f.read_text(errors="replace") if f.exists() else "" for f in self._files()]
        if status == "Failed":
            texts[1] += f"failed to run commands: exit status {code}"
        self._output = (_cut(texts[0]), _cut(texts[1]))
        try:
            self._send_away(dict(zip(("stdout", "stderr"), texts, strict=True)))
        except Exception as error:  # the agent, too, only writes it to its own log
            log.warning("Output of command %s: %s", self._order.command_id, error)

    def _send_away(self, texts: Mapping[str, str]) -> None:
        order, session = self._order, self._machine.id
        for name, text in texts.items():
            if order.bucket and text:
                role_client(self._aws, "s3", order.role_arn, session).put_object(
                    Bucket=order.bucket, Key=self._key(name), Body=text.encode()
                )
            if order.cloudwatch.get("CloudWatchOutputEnabled") and text:
                logs = role_client(self._aws, "logs", order.role_arn, session)
                group = order.cloudwatch.get("CloudWatchLogGroupName") or (
                    "/aws/ssm/AWS-RunShellScript"
                )
                stream = f"{order.command_id}/{session}/aws-runShellScript/{name}"
                logs.create_log_stream(logGroupName=group, logStreamName=stream)
                now = round(time.time() * 1000)
                events = [{"timestamp": now, "message": line or " "} for line in text.splitlines()]
                logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def _key(self, name: str) -> str:
        parts = [self._order.key_prefix.strip("/"), self._order.command_id, self._machine.id,
                 "awsrunShellScript", "0.awsrunShellScript", name]  # fmt: skip
        return "/".join(part for part in parts if part)

    def members(self) -> dict[str, Any]:
        """What GetCommandInvocation says of it."""
        stdout, stderr = self._output
        return {
            "InstanceId": self._machine.id,
            "ResponseCode": self._code,
            "ExecutionStartDateTime": _iso(self._started),
            "ExecutionElapsedTime": self._elapsed(),
            "ExecutionEndDateTime": _iso(self._ended),
            "Status": self.status,
            "StatusDetails": self.status_details,
            "StandardOutputContent": stdout,
            "StandardOutputUrl": self._url("stdout"),
            "StandardErrorContent": stderr,
            "StandardErrorUrl": self._url("stderr"),
            "CloudWatchOutputConfig": dict(self._order.cloudwatch),
        }

    def plugin(self) -> dict[str, Any]:
        """What ListCommandInvocations says of it, in detail."""
        stdout, stderr = self._output
        error = f"\n----------ERROR-------\n{stderr}" if stderr else ""
        about = {
            "Name": "aws:runShellScript",
            "Status": self.status,
            "StatusDetails": self.status_details,
            "ResponseCode": self._code,
            "ResponseStartDateTime": self._started,
            "ResponseFinishDateTime": self._ended,
            "Output": (stdout + error)[:2500],
            "OutputS3BucketName": self._order.bucket,
            "OutputS3KeyPrefix": self._order.key_prefix,
        }
        return {name: value for name, value in about.items() if value is not None}

    def _elapsed(self) -> str:
        if self._started is None or self._ended is None:
            return ""
        return f"PT{self._ended - self._started:.3f}S"

    def _url(self, name: str) -> str:
        if not self._order.bucket:
            return ""
        return f"https://s3.{self._aws.region}.amazonaws.com/{self._order.bucket}/{self._key(name)}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_OUTPUT else text[: MAX_OUTPUT - len(_CUT)] + _CUT


def _iso(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03}Z"
