"""Hands one command to the init of the machine it runs on, and prints what that answers.

`systemd-run`, `systemctl`, `journalctl`, `shutdown` and `cloud-init` of the machine image are this
file: on a real machine systemd does the work, here the local AWS does, which owns the machine's
processes. It listens at LOCALAWS_INIT_URL.
"""

import http.client
import json
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Ask, print, and return the exit status."""
    address = os.environ.get("LOCALAWS_INIT_URL", "")
    host, _, path = address.removeprefix("http://").partition("/")
    if not path:
        sys.stderr.write(f"{arguments[0]}: LOCALAWS_INIT_URL is not set; keep it in the command's "
                         "environment, it leads to the machine's init.\n")  # fmt: skip
        return 1
    question = {"command": arguments, "cwd": str(Path.cwd()), "environment": dict(os.environ)}
    connection = http.client.HTTPConnection(host)
    try:
        connection.request("POST", f"/{path}", json.dumps(question))
        answer = json.loads(connection.getresponse().read())
    except OSError as error:
        sys.stderr.write(f"{arguments[0]}: the machine's init does not answer: {error}.\n")
        return 1
    sys.stdout.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    return int(answer["code"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
