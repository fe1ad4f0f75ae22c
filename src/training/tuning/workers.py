"""The worker processes of a search."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any


class Worker:
    """One process, and the trial that it is at."""

    def __init__(
        self, first: Mapping[str, Any], threads: int | None, inbox: "SimpleQueue[Message]"
    ) -> None:
        """Start it.

        Args:
            first: what it is told at its start.
            threads: how many it may use; None is as many as `make train` would.
            inbox: gets what it says.
        """
        env = (
            dict(os.environ) if threads is None else os.environ | {"OMP_NUM_THREADS": str(threads)}
        )
        # In a session of its own: Ctrl-C at the terminal is for the search, which ends it.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "training.tuning.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=env,
            start_new_session=True,
        )  # fmt: skip
        self.trial: int | None = None
        self.told_epoch = False
        """Whether its features are there, so that others will find them in the cache."""
        self.send(first)
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell it something; a process that is gone is noticed by what it no longer says."""
        stdin = self.process.stdin
        try:
            if stdin is not None:
                stdin.write(json.dumps(message) + "\n")
                stdin.flush()
        except BrokenPipeError:
            return

    def end(self) -> None:
        """End it now."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def why_it_died(self) -> str:
        """A sentence, once it is gone."""
        code = self.process.wait()
        if code == -signal.SIGKILL:
            return "its process was killed, as the system does when memory runs out."
        if code < 0:
            return f"its process died of {signal.Signals(-code).name}."
        return f"its process ended by itself with status {code}."

    def _listen(self, inbox: "SimpleQueue[Message]") -> None:
        stdout = self.process.stdout
        if stdout is not None:
            try:
                for line in stdout:
                    inbox.put((self, json.loads(line)))
            except ValueError:  # closed, or cut in the middle of a line
                pass
        inbox.put((self, None))


Message = tuple[Worker, dict[str, Any] | None]
"""Who says what; None is its end."""


def workers_for(asked: int, method: str, trials: int) -> int:
    """How many trials run at once.

    A head is fitted on one thread, so several may be; fine-tuning uses all cores, or the GPU,
    by itself.
    """
    if asked:
        return min(asked, trials)
    return max(1, min(cores() // 2, 4, trials)) if method == "head" else 1


def threads_for(workers: int, method: str) -> int | None:
    """How many threads each of them may use; None is as many as `make train` would."""
    return None if workers == 1 or method == "head" else max(1, cores() // workers)


def cores() -> int:
    """Those that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
