"""One command at a time works on a stage.

In one build folder the kernel sees to it: a file is locked by the verb and by every process it
starts, and is free again when the last of them is gone, however it ended. Between machines
Terraform's lock of the state does: an object in the state bucket, which a command that is killed
leaves behind. A lock that a killed command of this folder took is known by these marks, and is
removed.
"""

import fcntl
import json
import os
import pwd
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from pipeline.aws import Client, error_code
from pipeline.cli import Failed

TAKEN_WITHIN = timedelta(seconds=60)
"""So soon after it starts, a command of Terraform has taken the state's lock, or never will."""
_LOCK_SUFFIX = ".tflock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """Terraform's lock of a state."""

    created: datetime
    etag: str
    operation: str
    """What Terraform did: `apply`, `plan` ..."""
    who: str
    """`user@host`."""

    def __str__(self) -> str:
        return f"{self.who} holds the lock of the state since {self.created:%Y-%m-%d %H:%M:%S} UTC"


class Turn:
    """This process's turn to work on a stage from one build folder."""

    def __init__(self, folder: Path) -> None:
        """Take the turn.

        Raises:
            Failed: another process has it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.fd = os.open(folder / "turn", os.O_RDWR | os.O_CREAT, 0o644)
        last = self._read()
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self.fd)
            raise Failed(
                f"Process {last.get('pid')}, or what it started, works on this stage since "
                f"{last.get('began')}. Wait until it has ended."
            ) from None
        self._killed_at = last.get("at")
        self._began = _now()
        self.beat()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the turn back: this process was not killed."""
        os.ftruncate(self.fd, 0)
        os.close(self.fd)

    def beat(self) -> None:
        """Write down that a command of Terraform starts now."""
        text = json.dumps({"at": _now(), "began": self._began, "pid": os.getpid()}).encode()
        os.pwrite(self.fd, text, 0)
        os.ftruncate(self.fd, len(text))

    def left(self, lock: Lock) -> bool:
        """Whether the last command that had this turn was killed and left that lock behind."""
        if self._killed_at is None or lock.who != here():
            return False
        at = datetime.fromisoformat(self._killed_at)
        return at <= lock.created <= at + TAKEN_WITHIN

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(os.pread(self.fd, 10_000, 0))
        except json.JSONDecodeError:  # the last command ended in order, or was killed right here
            return {}
        return found


def here() -> str:
    """This user on this machine, as Terraform writes it into its lock."""
    return f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


def find_lock(s3: Client, bucket: str, key: str) -> Lock | None:
    """The lock of the state that lies at a key."""
    try:
        found = s3.get_object(Bucket=bucket, Key=key + _LOCK_SUFFIX)
    except ClientError as error:
        if error_code(error) == "NoSuchKey":
            return None
        raise
    told = json.loads(found["Body"].read())
    return Lock(
        created=datetime.fromisoformat(told["Created"]),
        etag=found["ETag"],
        operation=str(told["Operation"]).removeprefix("OperationType").lower(),
        who=told["Who"],
    )


def remove_lock(s3: Client, bucket: str, key: str, lock: Lock) -> None:
    """Remove that lock.

    Raises:
        Failed: another has taken its place.
    """
    now = find_lock(s3, bucket, key)
    if now is not None and now.etag != lock.etag:
        raise Failed(f"{now}. Wait until that command has ended.")
    s3.delete_object(Bucket=bucket, Key=key + _LOCK_SUFFIX)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
