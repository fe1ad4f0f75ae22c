"""`make lock`: pins every dependency group of pyproject.toml, with hashes, to requirements/.

All groups are resolved together first, so that a package has one version everywhere; only
the tools of the audit, SageMaker's toolkits, Ray and the servers that ours is measured beside are
resolved alone, each for an environment of its own. CUDA libraries go to cuda.txt: only the CUDA
build of torch needs them. cpu.txt names CPU builds of torch that are taken instead where pip can
find one, job.txt what AWS's training image lacks, function.txt what function.zip may carry.
"""

import argparse
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

LACKING = ("openvino", "openvino-telemetry", "safetensors")
"""What AWS's training image of our torch lacks of groups train and export.

openvino-telemetry is never imported, but pip refuses openvino's hashes without its own.
"""
CUDA = re.compile(r"(nvidia-|cuda-|triton=)")

FOR_FUNCTION = ("pillow",)
"""What function.zip may carry."""

ALONE = ("audit", "peers", "ray", "toolkit")

CPU_BUILDS = [
    # Wheels that a machine may offer to pip as files; far smaller than the CUDA build.
    "torch==2.13.0 --hash=sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
]


def compile_lock(groups: Sequence[str], constraints: Path | None) -> list[str]:
    """Resolve groups together.

    Returns:
        One entry per pinned package, with its marker and hashes.
    """
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate"]
    command += [word for group in groups for word in ("--group", group)]
    command += ["--constraint", str(constraints)] if constraints else []
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.split(r"\n(?=\S)", text.strip())


def main(argv: Sequence[str] | None = None) -> int:
    """Write requirements/<group>.txt for every group, and job, function, cuda and cpu.txt."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    listed = tomllib.loads(Path("pyproject.toml").read_text())["dependency-groups"]
    groups = [group for group in listed if group not in ALONE]
    folder = Path("requirements")
    with tempfile.TemporaryDirectory() as temporary:
        constraints = Path(temporary) / "constraints.txt"
        together = compile_lock(groups, None)
        constraints.write_text(
            "\n".join(entry.split(" \\\n")[0] for entry in together) + "\n", encoding="utf-8"
        )
        for group in groups:
            entries = [e for e in compile_lock([group], constraints) if not CUDA.match(e)]
            (folder / f"{group}.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    for group in ALONE:
        alone = [e for e in compile_lock([group], None) if not CUDA.match(e)]
        (folder / f"{group}.txt").write_text("\n".join(alone) + "\n", encoding="utf-8")
    job = [entry for entry in together if entry.split("==")[0] in LACKING]
    (folder / "job.txt").write_text("\n".join(job) + "\n", encoding="utf-8")
    function = [entry for entry in together if entry.split("==")[0] in FOR_FUNCTION]
    (folder / "function.txt").write_text("\n".join(function) + "\n", encoding="utf-8")
    cuda = [entry for entry in together if CUDA.match(entry)]
    (folder / "cuda.txt").write_text("\n".join(cuda) + "\n", encoding="utf-8")
    (folder / "cpu.txt").write_text("\n".join(CPU_BUILDS) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
