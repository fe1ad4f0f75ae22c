"""Services of one machine's init: what `systemd-run` starts and `systemctl` shows."""

import contextlib
import shlex
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from localaws.machines.machine import Machine, MachineOffError
from localaws.processes import Process

CLEAN_SIGNALS = {-signal.SIGHUP, -signal.SIGINT, -signal.SIGTERM, -signal.SIGPIPE}
"""Ended by one of these, a service has not failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What a transient service is asked to do."""

    name: str
    """With its suffix, `.service`."""
    command: tuple[str, ...]
    description: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    working_directory: Path | None = None
    output: Path | None = None
    """A file instead of the journal."""
    stop_post: str | None = None
    """Runs when the service has ended, however it did."""
    runtime_max_seconds: float | None = None
    timeout_stop_seconds: float = 90.0
    collect: bool = False
    """Forgotten at its end although it failed."""
    remain_after_exit: bool = False


class Unit:
    """A service that was started."""

    def __init__(self, service: Service, machine: Machine, forget: Callable[[str], None]) -> None:
        self.service = service
        self.active_state = "active"
        self.sub_state = "running"
        self.result = "success"
        self.started_at = time.time()
        self.ended = threading.Event()
        self._machine = machine
        self._forget = forget
        self._stopping = False
        journal = machine.root / "var" / "log" / "journal" / f"{service.name}.log"
        self._process: Process = machine.start(
            service.command,
            cwd=service.working_directory,
            environment=service.environment,
            output=service.output or journal,
            keep_orphans=False,
        )
        self._watcher = threading.Thread(target=self._watch, name=service.name, daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """Of its main process; 0 when it has ended."""
        return self._process.pid if self._process.alive else 0

    def stop(self) -> None:
        """End it; returns when it has ended."""
        self._stopping = True
        self.active_state, self.sub_state = "deactivating", "stop-sigterm"
        self._process.terminate(self.service.timeout_stop_seconds)
        self.ended.wait(self.service.timeout_stop_seconds + 15)

    def signal(self, number: int) -> None:
        """Signal its processes."""
        self._process.send_signal(number)

    def properties(self) -> dict[str, str]:
        """What `systemctl show` says."""
        code = self._process.exit_code
        return {
            "Id": self.service.name,
            "Names": self.service.name,
            "Description": self.service.description or shlex.join(self.service.command),
            "LoadState": "loaded",
            "ActiveState": self.active_state,
            "SubState": self.sub_state,
            "Result": self.result,
            "MainPID": str(self.pid),
            "ExecMainPID": str(self._process.pid),
            "ExecMainCode": "0" if code is None else "1" if code >= 0 else "2",
            "ExecMainStatus": str(abs(code or 0)),
        }

    def _watch(self) -> None:
        code = self._process.wait(self.service.runtime_max_seconds)
        if code is None:
            self.result = "timeout"
            self.active_state, self.sub_state = "deactivating", "stop-sigterm"
            self._process.terminate(self.service.timeout_stop_seconds)
        elif code > 0 or (code < 0 and code not in CLEAN_SIGNALS):
            self.result = "exit-code" if code > 0 else "signal"
        self._process.wait_all()
        self._run_stop_post()
        if self.result != "success":
            self.active_state, self.sub_state = "failed", "failed"
        elif self.service.remain_after_exit and not self._stopping:
            self.sub_state = "exited"
        else:
            self.active_state, self.sub_state = "inactive", "dead"
        if self.active_state == "inactive" or (
            self.active_state == "failed" and self.service.collect
        ):
            self._forget(self.service.name)
        self.ended.set()

    def _run_stop_post(self) -> None:
        if not self.service.stop_post:
            return
        code = self._process.exit_code or 0
        about = {
            "SERVICE_RESULT": self.result,
            "EXIT_CODE": "killed" if code < 0 else "exited",
            "EXIT_STATUS": signal.Signals(-code).name[3:] if code < 0 else str(code),
        }
        journal = self._machine.root / "var" / "log" / "journal" / f"{self.service.name}.log"
        with contextlib.suppress(MachineOffError):
            self._machine.start(
                shlex.split(self.service.stop_post),
                environment={**self.service.environment, **about},
                output=self.service.output or journal,
            ).wait(self.service.timeout_stop_seconds)
