"""One EC2 instance: a folder that stands for its disk, and a process tree."""

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from localaws import processes
from localaws.machines.boot import Script, read_user_data

STOP_GRACE_SECONDS = 20.0
"""Between SIGTERM and SIGKILL when a machine is switched off; a real one waits up to 90."""


class MachineOffError(Exception):
    """The machine is switched off."""


class Machine:
    """A machine's disk and processes; both end with `destroy`, the processes with `power_off`.

    Its folder stands for `/`: HOME, TMPDIR, var/ and bin/ lie in it. Programs see the whole
    computer all the same, so scripts keep to paths below $HOME; cloud-init's folder for programs
    of every boot, which lies elsewhere on AWS, is named by KENNEL_PER_BOOT.
    """

    def __init__(self, instance_id: str, root: Path, environment: Mapping[str, str]) -> None:
        self.id = instance_id
        self.root = root
        self.booted = threading.Event()
        """Set when this boot's scripts have ended."""
        self.boot_failed = False
        self._on = False
        self._lock = threading.Lock()
        self._running: list[processes.Process] = []
        home = root / "home"
        for folder in (home, root / "tmp", root / "var" / "log", self.per_boot):
            folder.mkdir(parents=True, exist_ok=True)
        self._environment = {
            "HOME": str(home),
            "KENNEL_PER_BOOT": str(self.per_boot),
            "LOGNAME": "root",
            "PATH": os.pathsep.join([str(root / "bin"), "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
            "SHELL": "/bin/bash",
            "USER": "root",
            **environment,
        }

    @property
    def on(self) -> bool:
        """Whether programs can be started."""
        return self._on

    @property
    def per_boot(self) -> Path:
        """Programs in here run at every boot."""
        return self.root / "var" / "lib" / "cloud" / "scripts" / "per-boot"

    @property
    def boot_log(self) -> Path:
        """What the scripts of all boots wrote."""
        return self.root / "var" / "log" / "cloud-init-output.log"

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
        keep_orphans: bool = True,
    ) -> processes.Process:
        """Start a program of this machine.

        Raises:
            MachineOffError: the machine is off.
        """
        with self._lock:
            if not self._on:
                raise MachineOffError(f"The machine {self.id} is off.")
            process = processes.start(
                command,
                root=self.root,
                env={**self._environment, **(environment or {})},
                output=output,
                cwd=cwd,
                keep_orphans=keep_orphans,
            )
            self._running = [p for p in self._running if not p.wait_all(0)] + [process]
            return process

    def power_on(self, environment: Mapping[str, str], user_data: bytes) -> None:
        """Start the machine; its boot scripts run in the background.

        Args:
            environment: where its metadata and its init are, new at every boot.
            user_data: as its metadata service gives it.
        """
        with self._lock:
            self._environment.update(environment)
            self._on = True
            self.booted.clear()
        threading.Thread(target=self._boot, args=(user_data,), name=self.id, daemon=True).start()

    def power_off(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """End every process; files stay."""
        with self._lock:
            self._on = False
            running, self._running = self._running, []
        enders = [
            threading.Thread(target=process.terminate, args=(grace_seconds,)) for process in running
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()

    def _boot(self, user_data: bytes) -> None:
        finished = self.root / "var" / "lib" / "cloud" / "instance" / "boot-finished"
        with contextlib.suppress(MachineOffError):
            try:
                understood = read_user_data(user_data)
                self._note(understood.refused)
                failed = self._run_all(
                    self._place(script)
                    for script in understood.scripts
                    if script.stage != "first-boot"
                )
                failed += self._run_all(
                    file for file in sorted(self.per_boot.iterdir()) if os.access(file, os.X_OK)
                )
                if not finished.exists():
                    failed += self._run_all(
                        self._place(script)
                        for script in understood.scripts
                        if script.stage == "first-boot"
                    )
                self._note([f"cloud-init: {name} failed." for name in failed])
                self.boot_failed = bool(failed)
                finished.parent.mkdir(parents=True, exist_ok=True)
                finished.touch()
            finally:
                self.booted.set()

    def _place(self, script: Script) -> Path:
        folder = self.root / "var" / "lib" / "cloud" / "instance" / script.stage
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / script.name
        file.write_bytes(script.text)
        file.chmod(0o700)
        return file

    def _run_all(self, files: Iterable[Path]) -> list[str]:
        """Run one after another; the names of those that failed."""
        environment = {"INSTANCE_ID": self.id}
        return [
            file.name
            for file in files
            if self.start([str(file)], environment=environment, output=self.boot_log).wait() != 0
        ]

    def _note(self, lines: Sequence[str]) -> None:
        with self.boot_log.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
