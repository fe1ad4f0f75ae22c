"""Log lines as JSON objects, one a line, on standard output."""

import json
import logging
import sys
import time
from typing import Any


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


def log_as_json() -> None:
    """Send every log line of this process to standard output as JSON."""
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(_JsonLine())
    logging.basicConfig(level=logging.INFO, handlers=[output], force=True)
    for noisy in ("botocore", "boto3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # callers can make it warn
