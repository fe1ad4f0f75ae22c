import io
import json
import os
import signal
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.localaws.starting import start_local_aws

from localaws import control

pytestmark = pytest.mark.slow

HANDLER = """
import os, subprocess, sys
def handle(event, context):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                             start_new_session=True, stdout=subprocess.DEVNULL)
    return [os.getpid(), child.pid]
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    },
}


def runs(pid: int) -> bool:
    listing = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return listing.stdout.strip() != "" and not listing.stdout.strip().startswith("Z")


def until(holds: Callable[[], bool]) -> bool:
    """Give processes up to twenty seconds."""
    pause = threading.Event()
    for _ in range(400):
        if holds():
            return True
        pause.wait(0.05)
    return False


@pytest.mark.parametrize("end", ["down", "kill -9"])
def test_no_process_outlives_the_local_aws(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "local"
    address = start_local_aws(folder)
    try:
        session: Any = boto3.session.Session(
            aws_access_key_id=address.access_key_id,
            aws_secret_access_key=address.secret_access_key,
            region_name=address.region,
        )
        iam = session.client("iam", endpoint_url=address.url)
        role = iam.create_role(RoleName="dogs", AssumeRolePolicyDocument=json.dumps(TRUST))
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("handler.py", HANDLER)
        client = session.client("lambda", endpoint_url=address.url)
        client.create_function(
            FunctionName="dogs",
            Role=role["Role"]["Arn"],
            Runtime="python3.13",
            Handler="handler.handle",
            Code={"ZipFile": content.getvalue()},
            Timeout=30,
        )
        pids = json.loads(client.invoke(FunctionName="dogs")["Payload"].read())
        running = [runs(pid) for pid in pids]

        if end == "kill -9":
            os.kill(address.pid, signal.SIGKILL)
        else:
            control.down(folder)
    finally:
        control.down(folder)

    assert running == [True, True]
    assert until(lambda: not any(runs(pid) for pid in pids))
