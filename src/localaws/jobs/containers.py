"""The running scripts of a job, one process tree for each host."""

import contextlib
import os
import re
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from localaws import processes
from localaws.core import LocalAws
from localaws.jobs import toolkit
from localaws.jobs.hosts import Host
from localaws.jobs.record import Job
from localaws.recorder import Recorder

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
STOP_GRACE_SECONDS = 120.0
"""Between SIGTERM and SIGKILL, as on AWS; scripts may save a last checkpoint in it."""
UNHEARD_GRACE_SECONDS = 1.0
"""The same for a program that does not hear SIGTERM: nothing is gained by waiting for it."""
LOOK_SECONDS = 0.1
LAST_LINES = 20
"""How much of its output a failed script's reason quotes."""

End = Literal["exited", "interrupted", "stopped", "too long", "waited too long"]


class Containers:
    """What runs on the hosts of a job, from its start to its end."""

    def __init__(self, aws: LocalAws, recorder: Recorder, job: Job, hosts: Sequence[Host]) -> None:
        self._aws = aws
        self._recorder = recorder
        self._job = job
        self._hosts = hosts
        self._names = [host.name for host in hosts]
        self._role_arn: str = job.params["RoleArn"]
        self._metrics = [
            (metric["Name"], re.compile(metric["Regex"]))
            for metric in job.params["AlgorithmSpecification"].get("MetricDefinitions", [])
        ]
        self._processes: list[processes.Process] = []
        self._last_lines = {name: deque[str](maxlen=LAST_LINES) for name in self._names}

    def start(self) -> None:
        """Start the script on every host."""
        started = round(time.time())
        for host in self._hosts:
            self._processes.append(self._start(host, started))
            self._report(host)

    def wait(
        self,
        run_until: float,
        wait_until: float,
        interruption: Path | None,
        work: Callable[[], None],
    ) -> End:
        """Wait for the end of the script; the other hosts' end too, when one fails.

        Args:
            run_until: by time.monotonic; then it has run too long.
            wait_until: by time.monotonic; then a spot job has waited too long.
            interruption: when this file appears, the hosts are taken away; None for hosts that
                stay.
            work: done again and again meanwhile.
        """
        while any(process.alive for process in self._processes):
            if self._job.stop_asked.wait(LOOK_SECONDS):
                return "stopped"
            if interruption and interruption.exists():
                return "interrupted"
            if time.monotonic() > wait_until:
                return "waited too long"
            if time.monotonic() > run_until:
                return "too long"
            if any(process.exit_code for process in self._processes):
                break
            work()
        return "exited"

    def failure(self) -> str | None:
        """Why the script failed on the host where it failed first; None when it has not."""
        ended = zip(self._hosts, self._processes, strict=True)
        for host, process in ended:
            if process.exit_code:
                process.wait_all(10)
                return self._reason(host, process.exit_code)
        return None

    def end(self, work: Callable[[], None]) -> None:
        """Ask every script to end, as AWS asks, and end it after a grace.

        A container's first process gets the signal. The toolkit does not hand it to the script,
        and a first process without a handler of its own ignores it.

        Args:
            work: done again and again meanwhile.
        """
        deadlines = []
        for process in self._processes:
            heard = not self._is_toolkit() and _hears_sigterm(process.pid)
            if process.alive and heard:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
            grace = STOP_GRACE_SECONDS if heard else UNHEARD_GRACE_SECONDS
            deadlines.append(time.monotonic() + grace)
        while any(
            process.alive and time.monotonic() < deadline
            for process, deadline in zip(self._processes, deadlines, strict=True)
        ):
            work()
            time.sleep(LOOK_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End everything at once."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait_all(10)

    def _is_toolkit(self) -> bool:
        return not self._job.params["AlgorithmSpecification"].get("ContainerEntrypoint")

    def _start(self, host: Host, started: int) -> processes.Process:
        params = host.localised(self._job.params)
        command = toolkit.command(host, params, self._names)
        path = processes.clean_environment(host.root)["PATH"]
        environment = {
            **toolkit.environment(host, params, self._names),
            **self._aws.serve_credentials(self._role_arn, self._job.name),
            "AWS_ENDPOINT_URL": self._aws.url,
            "AWS_REGION": self._aws.region,
            "PATH": f"{host.programs}{os.pathsep}{path}",
            "TRAINING_JOB_ARN": self._job.arn,
        }
        listen = self._listener(host.name, f"{self._job.name}/{host.name}-{started}")
        if self._is_toolkit():
            listen(f"Invoking script with the following command: {' '.join(command)}")
        return processes.start(
            command, root=host.root, env=environment, on_line=listen, cwd=host.base / "code"
        )

    def _listener(self, host_name: str, stream: str) -> Callable[[str], None]:
        def listen(line: str) -> None:
            self._recorder.line(LOG_GROUP, stream, line, self._role_arn)
            self._last_lines[host_name].append(line)
            for name, pattern in self._metrics:
                for found in pattern.finditer(line):
                    self._measure(name, found)

        return listen

    def _measure(self, name: str, found: "re.Match[str]") -> None:
        try:
            value = float(found[1] if found.re.groups else found[0])
        except (TypeError, ValueError):
            return
        self._job.measure(name, value)
        dimensions = {"TrainingJobName": self._job.name}
        self._recorder.metric(LOG_GROUP, name, value, "None", dimensions, self._role_arn)

    def _report(self, host: Host) -> None:
        """What AWS measures on a host, it writes with the job's role; here once, at the start."""
        disk = shutil.disk_usage(host.root)
        used = 100 * disk.used / disk.total
        dimensions = {"Host": f"{self._job.name}/{host.name}"}
        self._recorder.metric(
            LOG_GROUP, "DiskUtilization", used, "Percent", dimensions, self._role_arn
        )

    def _reason(self, host: Host, code: int) -> str:
        file = host.base / "output" / "failure"
        if file.is_file():
            return f"AlgorithmError: {file.read_text(errors='replace').strip()}, exit code: {code}"
        last = "\n".join(self._last_lines[host.name])[-800:]
        return (
            f"AlgorithmError: ExecuteUserScriptError:\nExitCode {code}\n"
            f'ErrorMessage "{last}"\nexit code: {code}'
        )


def _hears_sigterm(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM; without one, a first process ignores it."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
