"""Programs on this machine."""

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator

from pipeline.doctor.findings import Finding, fail, ok, warn
from pipeline.opening import INFRA
from pipeline.setup import PROVIDER_VERSION, TERRAFORM_VERSION

OLDEST = (1, 11)
"""Of Terraform; it is the first whose S3 backend locks by itself."""


def check_tools() -> Iterator[Finding]:
    """Python, Terraform and its provider."""
    yield ok(f"Python {platform.python_version()}")
    program = shutil.which("terraform")
    if program is None:
        yield fail("Terraform is not on PATH", "make setup")
        return
    done = subprocess.run([program, "version", "-json"], capture_output=True, text=True)
    version = str(json.loads(done.stdout)["terraform_version"]) if done.returncode == 0 else "?"
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        yield fail(f"Terraform {version} is too old", f"make setup installs {TERRAFORM_VERSION}")
    elif version != TERRAFORM_VERSION:
        yield warn(
            f"Terraform {version}; {TERRAFORM_VERSION} is the one that is tested", "make setup"
        )
    else:
        yield ok(f"Terraform {version}")
    yield _provider()


def _provider() -> Finding:
    lock = INFRA / ".terraform.lock.hcl"
    found = re.search(r'version\s+= "([^"]+)"', lock.read_text()) if lock.is_file() else None
    if found is None:
        return fail(f"{lock} does not pin the AWS provider", f"git restore {lock}")
    if found[1] != PROVIDER_VERSION:
        return warn(
            f"{lock} pins the AWS provider {found[1]}; {PROVIDER_VERSION} is tested",
            f"git restore {lock}",
        )
    return ok(f"AWS provider {found[1]}")
