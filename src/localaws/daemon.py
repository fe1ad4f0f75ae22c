"""The process of the local AWS: `python -m localaws.daemon FOLDER REGION`, started by `up`."""

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from localaws.running import RunningAws


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM."""
    folder, region = sys.argv[1:] if argv is None else argv
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stdout,
    )
    for quiet in ("botocore", "boto3", "urllib3", "werkzeug"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    aws = RunningAws(Path(folder), region)
    aws.start()
    write_address(aws)
    logging.getLogger("localaws").info("Listening on %s", aws.url)
    stopped.wait()
    aws.stop()
    with contextlib.suppress(FileNotFoundError):
        (aws.folder / "gateway.json").unlink()
    return 0


def write_address(aws: RunningAws) -> None:
    """Write gateway.json, all at once."""
    members = {
        "url": aws.url,
        "pid": os.getpid(),
        "region": aws.region,
        "account_id": aws.account_id,
        "access_key_id": aws.admin.access_key_id,
        "secret_access_key": aws.admin.secret_access_key,
    }
    new = aws.folder / "gateway.json.new"
    new.write_text(json.dumps(members, indent=2) + "\n", encoding="utf-8")
    new.replace(aws.folder / "gateway.json")


if __name__ == "__main__":
    sys.exit(main())
