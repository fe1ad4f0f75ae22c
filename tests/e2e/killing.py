"""Ends a verb with everything it started, at a line of its output, as a lost machine does."""

import os
import random
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from botocore.exceptions import ClientError
from tests.e2e.stage import ROOT, Stage, shell

SEED = 20261122
POINTS = (
    ("Stage local: ",),
    ("made .*bucket.this", "made .*security_group.this", "made .*training_job.*role.this"),
    ("made .*aws_instance", "made .*launch_template", "made .*notebook_instance.this"),
    ("made .*endpoint_configuration", "made .*aws_sagemaker_model", "made .*target.this"),
    ("made .*lambda_alias", "made .*function_url", "Stack kennel stands"),
)
"""Lines of `make apply`, in the order of their coming; one of each row is drawn."""


@dataclass
class Kills:
    """What was seen on the way from nothing to a deployed service."""

    stage: Stage
    points: list[str] = field(default_factory=list)
    unlocked: str = ""
    """What `make unlock` said after the first kill."""
    refused: list[str] = field(default_factory=list)
    """What two other applies said while the last one was under way."""
    output: str = ""
    """Of the last apply, which was not killed."""
    code: int = -1


def apply_with_kills(stage: Stage) -> Kills:
    """Deploy for the first time; five applies are killed, the sixth is not."""
    kills = Kills(stage)
    draw = random.Random(SEED)
    for row in POINTS:
        point = draw.choice(row)
        kills.points.append(point)
        with started(stage) as apply:
            kill = f"{point} never came" if not apply.reaches(point) else ""
            if point == POINTS[0][0]:
                wait_for_lock(stage)
            apply.signal(signal.SIGKILL)
        if kill:
            kills.output = f"{kill}:\n{apply.output}"
            return kills
        if point == POINTS[0][0]:
            kills.unlocked = stage.make("unlock")
    with started(stage) as apply:
        apply.reaches("^Release ")
        wait_for_lock(stage)
        apply.signal(signal.SIGSTOP)
        kills.refused = [stage.make("apply", expect=2), apply_elsewhere(stage)]
        apply.signal(signal.SIGCONT)
        apply.reaches("$.")  # which never comes
        kills.code = apply.process.wait()
    kills.output = apply.output
    return kills


class Apply:
    """A running `make apply`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.output = ""

    def reaches(self, pattern: str) -> bool:
        """Read its output up to a line; False when it ends before."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if re.search(pattern, line):
                return True
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes; a kill is over when they are gone."""
        family = list(descendants(self.process.pid))
        for pid in family:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        while number == signal.SIGKILL and set(family) & alive().keys():
            self.process.poll()
            threading.Event().wait(0.02)


class started:  # noqa: N801 - it is used as a verb
    """Starts `make apply`, and kills what is left of it at the end."""

    def __init__(self, stage: Stage, *knobs: str) -> None:
        self._command = ["make", "--no-print-directory", "apply", f"BUILD={stage.build}", *knobs]

    def __enter__(self) -> Apply:
        process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=shell(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._apply = Apply(process)
        return self._apply

    def __exit__(self, *_: object) -> None:
        if self._apply.process.poll() is None:
            self._apply.signal(signal.SIGKILL)
        assert self._apply.process.stdout is not None
        self._apply.process.stdout.close()
        self._apply.process.wait()


def apply_elsewhere(stage: Stage) -> str:
    """What an apply to the same account says that was started in another folder."""
    run = subprocess.run(
        ["python", "-m", "pipeline.deploy", "--build", str(stage.build / "elsewhere")],
        cwd=ROOT,
        env=stage.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 1, run.stdout
    return run.stdout


def wait_for_lock(stage: Stage) -> None:
    """Wait until Terraform has taken the lock of the state."""
    s3 = stage.client("s3")
    for _ in range(1000):
        for bucket in s3.list_buckets()["Buckets"]:
            try:
                s3.head_object(Bucket=bucket["Name"], Key="terraform.tfstate.tflock")
            except ClientError:
                continue
            return
        threading.Event().wait(0.02)
    raise AssertionError("No lock was taken.")


def alive() -> dict[int, int]:
    """Parents by process, without those that are dead and not buried."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,stat="], capture_output=True, check=True, text=True
    ).stdout
    found = (line.split() for line in listing.splitlines())
    return {int(pid): int(parent) for pid, parent, state in found if state[0] != "Z"}


def descendants(pid: int) -> Iterator[int]:
    """A process and all that it started, the eldest first."""
    parents = alive()
    wanted = [pid]
    while wanted:
        one = wanted.pop(0)
        yield one
        wanted += [child for child, parent in parents.items() if parent == one]
