"""`python -m benchmarks.serving.path`: the whole local path; runs inside the local AWS.

Deploys the prepared model with the project's verbs, asks the function again and again, and prints
one JSON object with how long answers took.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from contract.stack import read_stack
from pipeline.asking import ask, bytes_request
from pipeline.aws import Account
from pipeline.stacks import STACK_FILE, live_parts

WARM_UPS = 20


def verb(name: str, *options: str) -> None:
    """Run a verb of the project."""
    command = [sys.executable, "-m", f"pipeline.{name}", "--stage", "local", *options]
    subprocess.run(command, check=True, stdout=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Deploy and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args(argv)
    where = ("--build", str(given.build), "--settings", str(given.settings))
    verb("deploy", *where, "--yes")
    verb("package", *where)
    verb("upload", *where)
    verb("deploy", *where, "--yes")
    stack = read_stack(given.build / STACK_FILE)
    _, function = live_parts(stack)
    client = Account(stack.region).client("lambda")
    wanted, took = bytes_request(given.picture.read_bytes(), 5), []
    for _ in range(WARM_UPS):
        ask(client, function, wanted)
    ends = time.perf_counter() + given.seconds
    while time.perf_counter() < ends:
        begun = time.perf_counter()
        ask(client, function, wanted)
        took.append(time.perf_counter() - begun)
    sys.stdout.write(json.dumps({"seconds": took}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
