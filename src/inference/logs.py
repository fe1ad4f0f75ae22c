"""Log lines as JSON objects, one a line, on standard output."""

import json
import logging
import sys
import time
from contextlib import suppress
from typing import Any, TextIO


class _JsonLine(logging.Formatter):
    """`logger.info("request", extra={"fields": {...}})` becomes one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class JsonLines(logging.StreamHandler[TextIO]):
    """Writes each line at once, or several together once `batched` is set."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.batched = False
        """Whether somebody else calls `flush` regularly. One write of many lines costs what one
        of one line costs, and that is more than refusing a request."""
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; what is more than information is written at once."""
        self._lines.append(self.format(record))
        if not self.batched or record.levelno > logging.INFO:
            self.flush()

    def flush(self) -> None:
        """Write what there is."""
        lines, self._lines = self._lines, []
        with suppress(OSError):  # nobody reads the log any more, and serving goes on
            if lines:
                self.stream.write("\n".join([*lines, ""]))
            self.stream.flush()


def log_as_json() -> JsonLines:
    """Send every log line of this process to standard output as JSON."""
    output = JsonLines()
    output.setFormatter(_JsonLine())
    logging.basicConfig(level=logging.INFO, handlers=[output], force=True)
    for noisy in ("botocore", "boto3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # callers can make it warn
    return output
