"""What function.zip carries besides its code: Pillow for Lambda, where pictures are shrunk."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from pipeline.archives import Entry
from pipeline.cli import Failed

LOCK = "function.txt"
PLACE = "vendor/cpython-313-aarch64"
"""Named as the function's Python and machine name themselves."""
WANTED = (
    *("--implementation", "cp", "--python-version", "3.13", "--abi", "cp313"),
    *("--platform", "manylinux_2_28_aarch64", "--platform", "manylinux2014_aarch64"),
)
"""What runs in Lambda's python3.13 on arm64, whatever this machine is."""


def vendored(root: Path, build: Path) -> list[Entry]:
    """Fetch the locked wheels, once, and give their files.

    Raises:
        Failed: pip could not fetch them.
    """
    lock = root / "requirements" / LOCK
    folder = build / "vendored" / hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    if not folder.is_dir():
        _fetch(lock, folder)
    return [
        Entry(f"{PLACE}/{file.relative_to(folder).as_posix()}", file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]


def _fetch(lock: Path, folder: Path) -> None:
    wheels, unpacked = folder.with_suffix(".wheels"), folder.with_suffix(".unpacked")
    for left in (wheels, unpacked):
        shutil.rmtree(left, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += [
        "--only-binary",
        ":all:",
        *WANTED,
        "--dest",
        str(wheels),
        "--requirement",
        str(lock),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["nothing"]
        raise Failed(
            f"pip could not fetch what {lock} pins for Lambda ({why[-1][:300]}). Connect to a "
            "package index, or set function.shrink_px to null."
        )
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
    shutil.rmtree(wheels)
    unpacked.rename(folder)
