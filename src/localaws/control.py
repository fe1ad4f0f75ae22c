"""Starts and stops the daemon of one folder."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 60
STOP_SECONDS = 30
_LAST_LINES = 15
_REMOVED = (
    "AWS_CA_BUNDLE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "REQUESTS_CA_BUNDLE",
)


class ControlError(Exception):
    """The local AWS cannot be started or reached; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """What gateway.json says."""

    url: str
    pid: int
    region: str
    account_id: str
    access_key_id: str
    secret_access_key: str


def up(folder: Path, region: str) -> Address:
    """Start the local AWS of a folder unless it runs; a fresh start empties the folder.

    Raises:
        ControlError: it did not start.
    """
    folder = folder.resolve()
    with _lock(folder):
        running = find(folder)
        if running:
            return running
        _empty(folder)
        return _start(folder, region)


def down(folder: Path) -> bool:
    """Stop the local AWS of a folder and everything it started; False when none runs."""
    folder = folder.resolve()
    with _lock(folder):
        running = find(folder)
        if running is None:
            return False
        os.kill(running.pid, signal.SIGTERM)
        if not _ended(running.pid, STOP_SECONDS):
            os.kill(running.pid, signal.SIGKILL)
            _ended(running.pid, STOP_SECONDS)
        (folder / "gateway.json").unlink(missing_ok=True)
        return True


def find(folder: Path) -> Address | None:
    """The address of the local AWS of a folder; None when none runs."""
    try:
        members = json.loads((folder / "gateway.json").read_text(encoding="utf-8"))
        address = Address(**members)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None
    status = _status(address.url)
    # Another program may have the port by now, or another folder's daemon.
    same = status.get("pid") == address.pid and status.get("folder") == str(folder.resolve())
    return address if same else None


def environment(address: Address, base: Mapping[str, str]) -> dict[str, str]:
    """The environment that points every AWS SDK, the CLI and Terraform to the local AWS."""
    kept = {name: value for name, value in base.items() if name not in _REMOVED}
    return kept | variables(address)


def variables(address: Address) -> dict[str, str]:
    """What `environment` sets."""
    return {
        "AWS_ENDPOINT_URL": address.url,
        "AWS_REGION": address.region,
        "AWS_DEFAULT_REGION": address.region,
        "AWS_ACCESS_KEY_ID": address.access_key_id,
        "AWS_SECRET_ACCESS_KEY": address.secret_access_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def removed() -> tuple[str, ...]:
    """What `environment` takes away."""
    return _REMOVED


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / "gateway.log").exists():
        raise ControlError(
            f"{folder} holds files that localaws did not make; name another folder, or empty it."
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _start(folder: Path, region: str) -> Address:
    log = folder / "gateway.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    for name in _REMOVED:
        clean.pop(name, None)
    source = str(Path(__file__).resolve().parents[1])
    path = os.environ.get("PYTHONPATH")
    clean["PYTHONPATH"] = source + (os.pathsep + path if path else "")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localaws.daemon", str(folder), region],
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in this terminal is not meant for it
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        address = find(folder)
        if address:
            process.returncode = 0  # it outlives this process, so nobody waits for its end
            return address
        time.sleep(0.05)
    process.kill()
    process.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    raise ControlError(
        "The local AWS did not start. The last lines of "
        + f"{log}:\n"
        + "\n".join(f"  {line}" for line in lines)
    )


def _status(url: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/_localaws/status", timeout=10) as reply:
            members = json.load(reply)
    except (OSError, ValueError):
        return {}
    return members if isinstance(members, dict) else {}


def _ended(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # where it is a child of this very process
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
