"""A stage that the end-to-end tests deploy to, by the verbs that a person types."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from contract.stack import Stack, read_stack

ROOT = Path(__file__).parents[2]
SIGNS = ("+ ", "~ ", "± ", "- ")
HYPERPARAMETERS = "HYPERPARAMETERS=examples/hyperparameters.json"


@dataclass(frozen=True)
class Stage:
    """The stage that the tests deploy to."""

    build: Path

    def make(self, verb: str, *knobs: str, expect: int = 0) -> str:
        """Run a verb of the Makefile as a person does; returns all that it printed."""
        command = ["make", "--no-print-directory", verb, f"BUILD={self.build}", *knobs]
        run = subprocess.run(
            command,
            cwd=ROOT,
            env=shell(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert run.returncode == expect, run.stdout
        return run.stdout

    def settings(self, **changed: Any) -> str:
        """The knob for the repository's settings with some objects' members changed."""
        values = json.loads((ROOT / "config" / "local.tfvars.json").read_text())
        for name, value in changed.items():
            values[name] = values[name] | value if isinstance(value, dict) else value
        file = self.build / "settings.json"
        file.write_text(json.dumps(values))
        return f"SETTINGS={file}"

    def calls(self, name: str) -> int:
        """How often the local AWS has answered a call, `sagemaker:UpdateEndpoint`."""
        return (self.build / "local" / "gateway.log").read_text().count(f" {name}: ")

    @cached_property
    def env(self) -> dict[str, str]:
        """The environment of a shell that uses this local AWS."""
        local_aws = [sys.executable, "-m", "localaws", "run", "--folder", str(self.build / "local")]
        run = subprocess.run(
            [*local_aws, "--", "env", "-0"],
            cwd=ROOT,
            env=shell() | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            check=True,
            text=True,
        )
        return dict(entry.split("=", 1) for entry in run.stdout.split("\0") if entry)

    @property
    def stack(self) -> Stack:
        return read_stack(self.build / "stack.json")

    def client(self, service: str, **keys: str) -> Any:
        """A boto3 client, the administrator's unless keys are given."""
        env = self.env
        keys = keys or {
            "aws_access_key_id": env["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"],
        }
        session: Any = boto3.session.Session()
        return session.client(
            service,
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_REGION"],
            config=Config(
                retries={"total_max_attempts": 1}, read_timeout=120, max_pool_connections=20
            ),
            **keys,
        )

    def invoke(self, client: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Send one event to the function; returns its answer."""
        function = self.stack.function
        assert function is not None
        response = client.invoke(
            FunctionName=function.name,
            Qualifier=function.alias,
            Payload=json.dumps(event).encode(),
        )
        answer: dict[str, Any] = json.loads(response["Payload"].read())
        return answer

    def picture(self, nth: int = 0) -> Path:
        """A picture that training never saw."""
        return sorted((self.build / "data" / "photos" / "test").rglob("*.jpg"))[nth]


def changes(output: str) -> list[str]:
    """What a verb planned: a sign and an address each."""
    return [line.strip() for line in output.splitlines() if line.strip()[:2] in SIGNS]


def shell() -> dict[str, str]:
    """The environment of a person's shell: without what a surrounding `make` put into it."""
    return {name: v for name, v in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}


def processes_below(folder: Path) -> list[str]:
    """Every process that names the folder in its command, or works in it where that can be seen."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,command="], capture_output=True, check=True, text=True
    ).stdout
    return [
        line.strip()
        for line in listing.splitlines()
        if str(folder) in line or str(folder) in _works_in(line.split()[0])
    ]


def _works_in(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""


def base64_of(picture: Path) -> str:
    return base64.b64encode(picture.read_bytes()).decode()
