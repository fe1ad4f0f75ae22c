"""Starts a local AWS for tests that end it themselves."""

import os
import subprocess
import sys
from pathlib import Path

from localaws import control


def start_local_aws(folder: Path, region: str = "us-east-1") -> control.Address:
    """As a person starts it: the process that does is gone when the test begins."""
    env = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
    source = str(Path(control.__file__).parents[1])
    up = [sys.executable, "-m", "localaws", "up", "--folder", str(folder), "--region", region]
    subprocess.run(up, check=True, env={**env, "PYTHONPATH": source})
    address = control.find(folder)
    assert address is not None
    return address
