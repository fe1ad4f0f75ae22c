"""Fills the `bin` folder of a machine: what the machine image has and this computer may lack.

Imitated, each as far as its own module says: python and python3 (this Python with its packages),
aws (the real AWS CLI), systemd-run, systemctl, journalctl, shutdown, poweroff, reboot, cloud-init
(answered by the machine's init), sudo (runs its command as it is). All else is this computer's.
"""

import shlex
import sys
from pathlib import Path

SHIMS = Path(__file__).with_name("shims")
INIT_COMMANDS = ("systemd-run", "systemctl", "journalctl", "shutdown", "poweroff", "reboot",
                 "cloud-init")  # fmt: skip

_AWS = """# Version 2, which the image has, also takes AWS_REGION and the machine's own region.
AWS_DEFAULT_REGION="${{AWS_REGION:-${{AWS_DEFAULT_REGION:-{region}}}}}"
export AWS_DEFAULT_REGION
exec {python} -m awscli "$@"
"""
_PYTHON = """case "$1 $2" in
  "-m venv") exec {python} {shim} "$@" ;;
  *) exec {python} "$@" ;;
esac
"""
_SUDO = """while [ $# -gt 0 ]; do
  case "$1" in
    -u | -g | -D | --user | --group | --chdir) shift 2 ;;
    -*) shift ;;
    [A-Za-z_]*=*) export "$1"; shift ;;
    *) break ;;
  esac
done
exec "$@"
"""


def install(folder: Path, region: str) -> None:
    """Write the programs.

    Args:
        folder: the `bin` of a machine.
        region: the one the AWS CLI uses when it is told none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    python = shlex.quote(sys.executable)
    for name in INIT_COMMANDS:
        shim = shlex.quote(str(SHIMS / "init.py"))
        _write(folder / name, f'exec {python} -E -s -S {shim} {name} "$@"\n')
    for name in ("python", "python3"):
        shim = shlex.quote(str(SHIMS / "python.py"))
        _write(folder / name, _PYTHON.format(python=python, shim=shim))
    _write(folder / "aws", _AWS.format(region=region, python=python))
    _write(folder / "sudo", _SUDO)


def _write(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
