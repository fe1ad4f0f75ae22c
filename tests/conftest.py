"""A local AWS, really started, for every test that needs one; one for each worker."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.sharing import Sharing

from localaws import control

SOURCE = str(Path(__file__).parents[1] / "src")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make regenerate` writes the files anew that plans and policies are compared with."""
    text = "write reviewed files anew instead of comparing with them"
    parser.addoption("--regenerate", action="store_true", help=text)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing | None:
    """With `--dist loadscope` tests go to workers as tests/sharing.py says."""
    return Sharing(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def regenerate(request: pytest.FixtureRequest) -> bool:
    """Whether reviewed files are to be written anew."""
    return bool(request.config.getoption("--regenerate"))


@dataclass(frozen=True, kw_only=True)
class StartedAws:
    """The local AWS of a test session."""

    folder: Path
    url: str
    pid: int
    region: str
    account_id: str
    env: dict[str, str]
    """The whole environment for a child process that uses it."""

    def client(self, service: str, **keys: str) -> Any:
        """A boto3 client: the administrator's, or one with the given keys of boto3.client."""
        if not keys:
            keys = {
                "aws_access_key_id": self.env["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": self.env["AWS_SECRET_ACCESS_KEY"],
            }
        session: Any = boto3.session.Session()
        return session.client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
            **keys,
        )


@pytest.fixture(scope="session")
def local_aws() -> Iterator[StartedAws]:
    with tempfile.TemporaryDirectory(prefix="localaws-") as parent:
        folder = Path(parent) / "local"
        # As a person starts it: the process that does is gone when the tests begin.
        up = [sys.executable, "-m", "localaws", "up", "--folder", str(folder)]
        subprocess.run(up, check=True, env={**os.environ, "PYTHONPATH": SOURCE})
        address = control.find(folder)
        assert address is not None
        env = control.environment(address, os.environ)
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        try:
            yield StartedAws(
                folder=folder.resolve(),
                url=address.url,
                pid=address.pid,
                region=address.region,
                account_id=address.account_id,
                env=env,
            )
        finally:
            control.down(folder)
