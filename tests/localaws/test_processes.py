import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

from localaws import processes

FOREVER = "import time\nprint('ready', flush=True)\ntime.sleep(600)"
DETACHING = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],
                         start_new_session=True, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
"""


class Lines:
    """Collects lines and lets a test wait for the first."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.came = threading.Event()

    def __call__(self, line: str) -> None:
        self.all.append(line)
        self.came.set()


def runs(pid: int) -> bool:
    """Whether a process exists and is not only waiting for its parent to collect it."""
    listing = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return listing.stdout.strip() != "" and not listing.stdout.strip().startswith("Z")


def until(holds: Callable[[], bool]) -> bool:
    """Give another process up to ten seconds."""
    pause = threading.Event()
    for _ in range(500):
        if holds():
            return True
        pause.wait(0.02)
    return False


def start(program: str, root: Path, lines: Lines, **options: object) -> processes.Process:
    return processes.start(
        ["python", "-c", program],
        root=root,
        env={},
        on_line=lines,
        **options,  # type: ignore[arg-type]
    )


def test_every_line_reaches_the_callback_and_the_file(tmp_path: Path) -> None:
    lines = Lines()
    program = "import sys; print('one'); print('two', file=sys.stderr)"

    process = start(program, tmp_path, lines, output=tmp_path / "log" / "out.txt")
    assert process.wait_all(20)

    assert lines.all == ["one", "two"]
    assert (tmp_path / "log" / "out.txt").read_text() == "one\ntwo\n"
    assert process.exit_code == 0


def test_the_exit_code_is_the_commands(tmp_path: Path) -> None:
    process = start("raise SystemExit(7)", tmp_path, Lines())

    assert process.wait(20) == 7
    assert not process.alive


def test_a_missing_program_is_named_and_exits_127(tmp_path: Path) -> None:
    lines = Lines()
    process = processes.start(["no-such-program"], root=tmp_path, env={}, on_line=lines)

    assert process.wait_all(20)

    assert process.exit_code == 127
    assert "could not be started" in lines.all[0]


def test_nothing_is_inherited_but_what_is_named(tmp_path: Path) -> None:
    lines = Lines()
    os.environ["A_SECRET_OF_THE_DAEMON"] = "1"
    try:
        process = processes.start(
            ["python", "-c", "import os; print(sorted(os.environ)); print(os.getcwd())"],
            root=tmp_path,
            env={"GIVEN": "1"},
            on_line=lines,
        )
        assert process.wait_all(20)
    finally:
        del os.environ["A_SECRET_OF_THE_DAEMON"]

    names = set(eval(lines.all[0])) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"}
    assert names == {*processes.clean_environment(tmp_path), "GIVEN"}
    assert Path(lines.all[1]).samefile(tmp_path)


def test_kill_ends_a_detached_grandchild(tmp_path: Path) -> None:
    lines = Lines()
    process = start(DETACHING + "import time; time.sleep(600)", tmp_path, lines)
    assert lines.came.wait(20)
    assert runs(int(lines.all[0]))

    process.kill()

    assert not runs(process.pid)
    assert not runs(int(lines.all[0]))


def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path) -> None:
    lines = Lines()
    process = start(DETACHING, tmp_path, lines)

    assert process.wait_all(20)

    assert not runs(int(lines.all[0]))


def test_kept_orphans_outlive_the_command_but_not_kill(tmp_path: Path) -> None:
    lines = Lines()
    process = start(DETACHING, tmp_path, lines, keep_orphans=True)
    assert process.wait(20) == 0
    assert lines.came.wait(20)
    assert runs(int(lines.all[0]))

    process.kill()

    assert not runs(int(lines.all[0]))


def test_terminate_lets_the_command_finish_its_work(tmp_path: Path) -> None:
    lines = Lines()
    program = """
import signal, sys, threading
def end(*_):
    print('bye', flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
print('ready', flush=True)
threading.Event().wait()
"""
    process = start(program, tmp_path, lines)
    assert lines.came.wait(20)

    process.terminate(grace_seconds=20)

    assert process.exit_code == 3
    assert lines.all == ["ready", "bye"]


def test_terminate_kills_what_does_not_listen(tmp_path: Path) -> None:
    lines = Lines()
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER
    process = start(program, tmp_path, lines)
    assert lines.came.wait(20)

    process.terminate(grace_seconds=0.1)

    assert not runs(process.pid)


def test_a_killed_keeper_takes_its_command_along(tmp_path: Path) -> None:
    lines = Lines()
    process = start(FOREVER, tmp_path, lines)
    assert lines.came.wait(20)

    os.kill(process._keeper.pid, signal.SIGKILL)

    assert process.wait_all(20)
    assert process.exit_code == -signal.SIGKILL
    assert until(lambda: not runs(process.pid))


def test_everything_dies_with_a_daemon_that_is_killed(tmp_path: Path) -> None:
    daemon_program = textwrap.dedent(
        f"""
        import threading
        from pathlib import Path
        from localaws import processes
        processes.start(["python", "-c", {DETACHING + FOREVER!r}], root=Path({str(tmp_path)!r}),
                        env={{}}, on_line=lambda line: print(line, flush=True))
        threading.Event().wait()
        """
    )
    source = str(Path(processes.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", daemon_program],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        text=True,
    ) as daemon:
        assert daemon.stdout
        grandchild = int(daemon.stdout.readline())
        assert daemon.stdout.readline() == "ready\n"
        assert runs(grandchild)

        daemon.kill()

    assert until(lambda: not runs(grandchild))


def test_memory_is_limited(tmp_path: Path) -> None:
    lines = Lines()
    process = start("bytearray(2**30)", tmp_path, lines, memory_limit_bytes=2**29)

    assert process.wait_all(20)

    assert process.exit_code == 1
    assert lines.all[-1] == "MemoryError"
