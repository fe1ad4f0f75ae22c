"""What a run says while it goes: one JSON object a line for programs, sentences for people."""

import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

METRICS_FILE = "metrics.jsonl"
SECONDS_BETWEEN_PROGRESS = 2.0


class RunLog:
    """Writes every event to metrics.jsonl and to a stream.

    A terminal gets sentences, anything else the same JSON lines; warnings also go to stderr,
    where nobody overlooks them.
    """

    def __init__(self, folder: Path, stream: TextIO | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / METRICS_FILE
        self.stream = sys.stdout if stream is None else stream
        self.for_people = self.stream.isatty()
        self.last_progress = 0.0

    def event(self, event: str, text: str, **facts: Any) -> None:
        """Record one event.

        Args:
            event: its kind, for programs.
            text: the same for people.
            facts: what JSON can hold.
        """
        line = self._record(event, facts)
        self._say(text if self.for_people else line)

    def warn(self, text: str) -> None:
        """Say something that must not be overlooked."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
        line = self._record("warning", {"message": text})
        if not self.for_people:
            self._say(line)

    def note(self, event: str, **facts: Any) -> None:
        """Record one event that people need not see."""
        line = self._record(event, facts)
        if not self.for_people:
            self._say(line)

    def begin(self) -> None:
        """Start the file of a new run."""
        self.path.write_bytes(b"")

    def said(self) -> bytes:
        """All of the file, so that another machine can go on with it."""
        return self.path.read_bytes()

    def go_on_after(self, said: bytes) -> None:
        """Let the file be what it was at some time before, so that nothing is told twice."""
        part = self.path.with_suffix(".part")
        part.write_bytes(said)
        part.replace(self.path)

    def progress(self, doing: str, done: int, total: int, started: float) -> None:
        """Say how far something is, now and then and at its end.

        Args:
            doing: for example `features`.
            done: pictures so far.
            total: pictures in all.
            started: `time.monotonic()` of its start.
        """
        now = time.monotonic()
        if done < total and now - self.last_progress < SECONDS_BETWEEN_PROGRESS:
            return
        self.last_progress = now
        rate = done / max(now - started, 1e-9)
        text = f"{doing}: {done} of {total} pictures, {rate:.0f} a second"
        facts = {"doing": doing, "done": done, "total": total, "pictures_per_second": rate}
        self.event("progress", text, **facts)

    def _record(self, event: str, facts: dict[str, Any]) -> str:
        line = json.dumps({"event": event, **facts}, ensure_ascii=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        return line

    def _say(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()


class Silence(RunLog):
    """Says nothing: what one process of a run says, the others need not repeat."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / METRICS_FILE
        self.for_people = False

    def begin(self) -> None:
        """Leave the file to the first process."""

    def go_on_after(self, said: bytes) -> None:
        """Leave the file to the first process."""

    def warn(self, text: str) -> None:
        """Leave it to the first process to warn."""

    def progress(self, doing: str, done: int, total: int, started: float) -> None:
        """Leave it to the first process to tell."""

    def _record(self, event: str, facts: dict[str, Any]) -> str:  # noqa: ARG002 - says nothing
        return ""

    def _say(self, line: str) -> None:
        pass
