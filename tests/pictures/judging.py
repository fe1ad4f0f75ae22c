"""A process that looks at pictures, so that one that kills or stalls it can be named."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contract.preprocessing import MAX_CPU_SECONDS

SOURCE = Path(__file__).parents[2] / "src"
SCRIPT = Path(__file__).with_name("judge_pictures.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of one picture."""

    status: int
    message: str
    grown: int
    """Bytes of memory at the peak, above what was held before."""


class Judge:
    """Asks the process, one picture after another."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def __call__(self, name: str, data: bytes) -> Verdict:
        """Look at one.

        Raises:
            AssertionError: it killed the process, or took too long for it.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(len(data).to_bytes(8, "big") + data)
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise AssertionError(f"{name!r} ended the process: status {self._process.wait()}")
        return Verdict(**json.loads(line))


@contextmanager
def judging(resize_px: int = 256, cpu_seconds: int = MAX_CPU_SECONDS + 1) -> Iterator[Judge]:
    """A running judge.

    Args:
        resize_px: what the network wants.
        cpu_seconds: that each picture may take, plus what is missing to a whole second.
    """
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, str(SCRIPT), str(resize_px), str(cpu_seconds)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        try:
            yield Judge(process)
        finally:
            process.kill()
