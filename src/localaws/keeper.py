"""Runs one command for the local AWS and ends all of its processes; standard library only.

`processes.start` runs this file by path, writes one JSON line on its standard input and keeps
that pipe open. When the pipe closes, for whatever reason (kill -9 of the daemon too), everything
that the command ever started is killed. On Linux the keeper adopts orphans, so nothing that
detached itself gets away; elsewhere a process whose parent has ended and that also left the
command's process group does.

On the control pipe: `T <seconds>` ends the command gently, `S <signal>` signals its process group.
On the status pipe: `pid <n>`, `exit <code>` when the command itself has ended.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform.startswith("linux")


class _EndError(Exception):
    """Somebody asked the keeper itself to end."""


def _prctl(option: int, value: int) -> None:
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _parents() -> dict[int, int]:
    """Every process of the machine and its parent."""
    if LINUX:
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents[int(folder.name)] = int(fields[1])
        return parents
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,stat="], stdout=subprocess.PIPE) as ps:
        rows = [row.split() for row in ps.communicate()[0].decode().splitlines()]
    alive = [(int(row[0]), int(row[1])) for row in rows if not row[2].startswith("Z")]
    return {pid: parent for pid, parent in alive if pid != ps.pid}


def _descendants() -> list[int]:
    parents = _parents()
    found = [os.getpid()]
    for ancestor in found:
        found += [pid for pid, parent in parents.items() if parent == ancestor]
    return found[1:]


def _kill_all(group: int) -> None:
    """Kill until nothing is left; a process may fork while it is being killed."""
    for _ in range(500):
        left = _descendants()
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not left:
            return
        time.sleep(0.01)


def _exec(order: dict[str, object], keeper: int) -> None:
    """Become the command; runs in the forked child."""
    try:
        os.setpgid(0, 0)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(127)
        signal.set_wakeup_fd(-1)
        for name in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(name, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.chdir(str(order["cwd"]))
        limit = order["memory_limit_bytes"]
        if isinstance(limit, int):
            # macOS refuses this limit.
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        command, env = order["command"], order["env"]
        assert isinstance(command, list)  # noqa: S101 - written by processes.start
        assert isinstance(env, dict)  # noqa: S101
        os.execvpe(command[0], command, env)  # noqa: S606 - no shell is wanted
    except Exception as error:
        os.write(2, f"The command could not be started: {error}\n".encode())
        os._exit(127)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _EndError


def main(status: int) -> int:
    """Read the order, run it, obey the control pipe until everything has ended."""
    os.set_inheritable(status, False)
    control = b""
    while b"\n" not in control:
        some = os.read(0, 65536)
        if not some:
            return 1
        control += some
    line, control = control.split(b"\n", 1)
    order = json.loads(line)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, _end)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        _exec(order, keeper)
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    os.write(status, f"pid {pid}\n".encode())
    try:
        _keep(pid, status, control, wake_read, bool(order["keep_orphans"]))
    except _EndError:
        pass
    finally:
        _kill_all(pid)
    return 0


def _keep(pid: int, status: int, control: bytes, wake_read: int, keep_orphans: bool) -> None:
    """Wait until the command has ended, or must."""
    deadline: float | None = None
    while deadline is None or time.monotonic() < deadline:
        while b"\n" in control:
            line, control = control.split(b"\n", 1)
            verb, argument = line.decode().split()
            number = signal.SIGTERM if verb == "T" else int(argument)
            if verb == "T":
                deadline = time.monotonic() + float(argument)
            with contextlib.suppress(OSError):
                os.killpg(pid, number)
        try:
            while True:
                ended, wait_status = os.waitpid(-1, os.WNOHANG)
                if ended == 0:
                    break
                if ended == pid:
                    code = os.waitstatus_to_exitcode(wait_status)
                    with contextlib.suppress(OSError):
                        os.write(status, f"exit {code}\n".encode())
                    if not keep_orphans or deadline is not None:
                        return
        except ChildProcessError:
            return
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([0, wake_read], [], [], left)
        if wake_read in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 4096)
        if 0 in readable:
            some = os.read(0, 4096)
            if not some:
                return
            control += some


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
