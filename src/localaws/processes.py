"""The one way in which the local AWS starts other programs.

Every program runs below its own root folder with a clean environment, in its own process group,
under a small keeper process (keeper.py) that ends its whole process tree when asked to and when
this process dies, by kill -9 too. The Python of this process and its packages are the machine
image: `python` on the program's PATH.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

KEEPER = Path(__file__).with_name("keeper.py")
MAX_LINE_BYTES = 256 * 1024
"""Longer lines are cut into pieces, as CloudWatch has it."""


class Process:
    """A started command, and everything it starts."""

    def __init__(
        self,
        keeper: "subprocess.Popen[bytes]",
        status: int,
        on_line: Callable[[str], None] | None,
        output: Path | None,
    ) -> None:
        self._keeper = keeper
        self._on_line = on_line
        self._output = output
        self._lock = threading.Lock()
        self._exited = threading.Event()
        self._gone = threading.Event()
        self._status = os.fdopen(status, "r")
        first = self._status.readline().split()
        self.pid = int(first[1]) if first else keeper.pid
        """Of the command itself."""
        self.exit_code: int | None = None
        """Negative: the number of the signal that ended it. None while it runs."""
        self._reader = threading.Thread(target=self._read, name=f"lines-{self.pid}", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name=f"exit-{self.pid}", daemon=True)
        self._reader.start()
        self._watcher.start()

    @property
    def alive(self) -> bool:
        """Whether the command itself still runs."""
        return not self._exited.is_set()

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Wait for the command itself; its exit code, or None when the time is over first."""
        self._exited.wait(timeout_seconds)
        return self.exit_code

    def wait_all(self, timeout_seconds: float | None = None) -> bool:
        """Wait until every process of the tree has ended and every line was handed on."""
        return self._gone.wait(timeout_seconds)

    def send_signal(self, number: int) -> None:
        """Signal the command's process group."""
        self._order(f"S {int(number)}")

    def terminate(self, grace_seconds: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when the whole tree has ended."""
        self._order(f"T {grace_seconds}")
        self._gone.wait(grace_seconds + 10)

    def kill(self) -> None:
        """SIGKILL for the whole tree; returns when it has ended."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            _pipe(self._keeper.stdin).close()
        self._gone.wait(10)

    def _order(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            stdin = _pipe(self._keeper.stdin)
            stdin.write(f"{line}\n".encode())
            stdin.flush()

    def _watch(self) -> None:
        """Take the exit code from the keeper; a keeper that was killed took its command along."""
        with self._status:
            for line in self._status:
                verb, _, code = line.partition(" ")
                if verb == "exit":
                    self.exit_code = int(code)
                    self._exited.set()
        self._keeper.wait()
        self._reader.join(5)
        if self.exit_code is None:
            self.exit_code = -9
        with self._lock, contextlib.suppress(OSError, ValueError):
            _pipe(self._keeper.stdin).close()
        self._exited.set()
        self._gone.set()

    def _read(self) -> None:
        with contextlib.ExitStack() as stack:
            stdout = stack.enter_context(_pipe(self._keeper.stdout))
            file = stack.enter_context(self._output.open("ab")) if self._output else None
            while line := stdout.readline(MAX_LINE_BYTES):
                if file:
                    file.write(line)
                    file.flush()
                if self._on_line:
                    # A failing listener must not stop the program by a full pipe.
                    with contextlib.suppress(Exception):
                        self._on_line(line.decode("utf-8", "replace").rstrip("\r\n"))


def start(
    command: Sequence[str],
    *,
    root: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None] | None = None,
    output: Path | None = None,
    cwd: Path | None = None,
    memory_limit_bytes: int | None = None,
    keep_orphans: bool = False,
) -> Process:
    """Start a program.

    Args:
        command: the program, found on the PATH of its own environment, and its arguments.
        root: its home; made when missing.
        env: added to the clean environment.
        on_line: called with each line of its standard output and error, in a thread.
        output: a file that those lines are appended to.
        cwd: where it starts; its root when not given.
        memory_limit_bytes: address space (RLIMIT_AS) of each of its processes.
        keep_orphans: what the command leaves running lives on until it ends by itself, or
            `terminate`, `kill` or the daemon's death ends it; by default it ends with the command.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / "tmp").mkdir(exist_ok=True)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
    order = {
        "command": list(command),
        "cwd": str(cwd or root),
        "env": {**clean_environment(root), **env},
        "keep_orphans": keep_orphans,
        "memory_limit_bytes": memory_limit_bytes,
    }
    status_read, status_write = os.pipe()
    try:
        # -E -s -S: the keeper needs nothing of the environment or of installed packages.
        keeper = subprocess.Popen(
            [sys.executable, "-E", "-s", "-S", str(KEEPER), str(status_write)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            pass_fds=(status_write,),
            start_new_session=True,
        )
    finally:
        os.close(status_write)
    stdin = _pipe(keeper.stdin)
    stdin.write(json.dumps(order).encode() + b"\n")
    stdin.flush()
    return Process(keeper, status_read, on_line, output)


def clean_environment(root: Path) -> dict[str, str]:
    """What every program gets: nothing of this process's environment but PATH and language."""
    image = str(Path(sys.executable).parent)
    return {
        "HOME": str(root),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "PATH": image + os.pathsep + os.environ.get("PATH", os.defpath),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(root / "tmp"),
    }


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("The keeper was started without its pipes.")
    return stream
