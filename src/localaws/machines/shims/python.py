"""`python3` of the machine image: the Python of the local AWS with its packages.

A virtual environment that is made with --system-site-packages sees the packages of the machine's
Python on AWS. Here that Python may live in a virtual environment itself, which `venv` looks
through; so the new environment is told where the packages are. The old setuptools that Python
3.11 puts beside pip makes room for the machine's, which locks name.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

OLD = ("setuptools*", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")


def main(arguments: list[str]) -> int:
    """Run Python, and finish what `-m venv` leaves open."""
    if arguments[:2] != ["-m", "venv"] or "--system-site-packages" not in arguments:
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell is wanted
    code = subprocess.run([sys.executable, *arguments], check=False).returncode
    folders = [Path(argument) for argument in arguments[2:] if not argument.startswith("-")]
    for folder in folders if code == 0 else []:
        for packages in folder.glob("lib/python3*/site-packages"):
            for old in OLD:
                for item in packages.glob(old):
                    shutil.rmtree(item) if item.is_dir() else item.unlink()
            (packages / "machine_image.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
