"""Starts one server on one core, waits until it answers, and ends all of it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.client import HOST
from benchmarks.serving.material import Material
from benchmarks.serving.sides import Side, first_label

from contract.strict import ContractError

START_SECONDS = 120
_POLL_SECONDS = 0.005
_STOP_SECONDS = 35


class AbsentError(ContractError):
    """A side cannot be measured on this machine; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A server that answers."""

    side: Side
    pid: int
    port: int
    ping_seconds: float
    """From its start to the first 200 of its health check."""
    first_seconds: float
    """From its start to its first answer about a picture."""
    details: dict[str, Any]
    """What its health check said, where that is a JSON object."""


def cores_of() -> list[int]:
    """The cores that this process may use now."""
    return sorted(os.sched_getaffinity(0))


def cores() -> tuple[int, int]:
    """The core that serves and the core that sends requests.

    Raises:
        ContractError: this process may use one core only.
    """
    allowed = cores_of()
    if len(allowed) < 2:
        raise ContractError("Two cores are wanted: one serves, the other sends requests.")
    return allowed[0], allowed[1]


@contextmanager
def running(side: Side, material: Material, core: int) -> Iterator[Running]:
    """The side, once it has answered one picture; its processes are gone afterwards.

    Raises:
        AbsentError: it does not start, or serves another runtime than was asked for.
    """
    with tempfile.TemporaryDirectory(prefix="serving-", dir=material.home) as scratch:
        port, log = free_port(), material.home / f"{side.name}.log"
        begun = time.perf_counter()
        try:
            start = side.start(material, Path(scratch), port)
        except ContractError as error:
            raise AbsentError(str(error)) from None
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["taskset", "-c", str(core), *start.command],
                cwd=start.folder, env=_plain_environment() | dict(start.environment),
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            yield _wait(side, process, port, begun, material, log)
        finally:
            _end(process)


def _plain_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}


def _wait(
    side: Side, process: "subprocess.Popen[bytes]", port: int, begun: float, material: Material,
    log: Path,
) -> Running:  # fmt: skip
    text, ping_seconds = b"", 0.0
    picture = material.pictures[min(material.pictures)][0]
    body, kind = side.body(picture)
    while True:
        if process.poll() is not None or time.perf_counter() - begun > START_SECONDS:
            last = (log.read_text(errors="replace").strip() or "empty").splitlines()[-1]
            raise AbsentError(f"{side.name} does not answer; its log {log} ends: {last}")
        try:
            if not ping_seconds:
                status, text = ask(port, "GET", side.ping)
                if status == 200:
                    ping_seconds = time.perf_counter() - begun
            else:
                status, reply = ask(port, "POST", side.predict, body, {"Content-Type": kind})
                if status == 200:
                    first_label(side, reply, material.classes)
                    break
        except OSError:
            time.sleep(_POLL_SECONDS)
    details = _object(text)
    if side.runtime not in str(details.get("runtime", "")):
        raise AbsentError(f"{side.runtime} was asked for; the server runs {details['runtime']}.")
    return Running(
        side=side, pid=process.pid, port=port, ping_seconds=ping_seconds,
        first_seconds=time.perf_counter() - begun, details=details,
    )  # fmt: skip


def ask(
    port: int, method: str, path: str, body: bytes | None = None,
    headers: dict[str, str] | None = None, timeout: float = 60,
) -> tuple[int, bytes]:  # fmt: skip
    """One request on a connection of its own.

    Returns:
        The status and the body.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def _object(text: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}


def free_port() -> int:
    """The first of three ports that nobody listens on."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind((HOST, 0))
            port: int = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                for other in (port + 1, port + 2):
                    stack.enter_context(socket.socket()).bind((HOST, other))
                return port


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def memory_mb(pid: int) -> float:
    """What a process and all below it hold, shared pages counted once: the sum of their PSS."""
    kilobytes = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            kilobytes += sum(int(li.split()[1]) for li in text.splitlines() if li[:4] == "Pss:")
    return kilobytes / 1000


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask the process to end, then end its whole group."""
    everyone = family(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for each in everyone:
        while not ended(each):
            time.sleep(_POLL_SECONDS)


def ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
