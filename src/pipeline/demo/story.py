"""Runs verbs one after the other and tells, in one line each, what came of them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.cli import Failed

_SHOWN_ON_FAILURE = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """One finished step."""

    verb: str
    """As a person types it."""
    outcome: str
    seconds: float


class Story:
    """The steps so far, and where their full output lies."""

    def __init__(self, logs: Path) -> None:
        self.chapters: list[Chapter] = []
        self._logs = logs
        self._began = time.monotonic()
        logs.mkdir(parents=True, exist_ok=True)
        for old in logs.glob("*.log"):
            old.unlink()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def make(self, verb: str, *knobs: str, outcome: str | Callable[[str], str]) -> str:
        """Run `make verb knobs` and tell its outcome.

        Args:
            verb: the Makefile's verb.
            knobs: NAME=value.
            outcome: what to say when it went well, or what makes that of the verb's output.

        Returns:
            The verb's output.

        Raises:
            Failed: the verb failed.
        """
        log = self._logs / f"{len(self.chapters) + 1:02}-{verb}.log"
        began = time.monotonic()
        code = self._run(["make", "--no-print-directory", verb, *knobs], log, verb, began)
        output = log.read_text(encoding="utf-8", errors="replace")
        if code != 0:
            last = "\n".join(output.splitlines()[-_SHOWN_ON_FAILURE:])
            raise Failed(f"`make {verb}` failed with {code}. The end of {log}:\n{last}")
        seconds = time.monotonic() - began
        self.tell(f"make {verb}", outcome if isinstance(outcome, str) else outcome(output), seconds)
        return output

    def tell(self, verb: str, outcome: str, seconds: float) -> None:
        """Add a finished step and write its line."""
        self.chapters.append(Chapter(verb=verb, outcome=outcome, seconds=seconds))
        _clear()
        sys.stdout.write(f"{len(self.chapters):3}  {verb:<17}{seconds:6.1f} s  {outcome}\n")
        sys.stdout.flush()

    def _run(self, command: Sequence[str], log: Path, verb: str, began: float) -> int:
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, env=environment
            )
            try:
                while True:
                    try:
                        return process.wait(timeout=0.5)
                    except subprocess.TimeoutExpired:
                        _progress(len(self.chapters) + 1, verb, time.monotonic() - began, log)
            except BaseException:
                _end(process)
                raise


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a verb that was interrupted; Ctrl-C has usually reached it already."""
    for polite in (None, signal.SIGTERM, signal.SIGKILL):
        if polite is not None:
            process.send_signal(polite)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            continue
        return


def _progress(number: int, verb: str, seconds: float, log: Path) -> None:
    if not sys.stdout.isatty():
        return
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = re.sub(r"\x1b\[[0-9;]*m", "", file.read().decode("utf-8", "replace")).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    _clear()
    begin = f"{number:3}  {f'make {verb}':<17}{seconds:6.1f} s  "
    sys.stdout.write(begin + last.split("\r")[-1][:60])
    sys.stdout.flush()


def _clear() -> None:
    if sys.stdout.isatty():
        sys.stdout.write("\r\x1b[2K")
