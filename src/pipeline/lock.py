"""`make lock`: pins every dependency group of pyproject.toml, with hashes, to requirements/.

All groups are resolved together first, so that a package has one version everywhere. CUDA
libraries go to a file of their own: only the CUDA build of torch needs them.
"""

import argparse
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

CUDA = re.compile(r"(nvidia-|cuda-|triton=)")

EXTRA_HASHES = {
    # CPU builds of torch that pip may find beside or instead of the registry's CUDA build.
    "torch==2.13.0": ["6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"],
}


def compile_lock(groups: Sequence[str], constraints: Path | None) -> list[str]:
    """Resolve groups together.

    Returns:
        One entry per pinned package, with its marker and hashes.
    """
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"]
    command += [word for group in groups for word in ("--group", group)]
    command += ["--constraint", str(constraints)] if constraints else []
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [add_hashes(entry) for entry in re.split(r"\n(?=\S)", text.strip())]


def add_hashes(entry: str) -> str:
    """Add the hashes of EXTRA_HASHES that belong to a pinned package."""
    name = entry.split()[0]
    return entry + "".join(f" \\\n    --hash=sha256:{h}" for h in EXTRA_HASHES.get(name, []))


def main(argv: Sequence[str] | None = None) -> int:
    """Write requirements/<group>.txt for every group, and cuda.txt."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    groups = list(tomllib.loads(Path("pyproject.toml").read_text())["dependency-groups"])
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
    cuda = [entry for entry in together if CUDA.match(entry)]
    (folder / "cuda.txt").write_text("\n".join(cuda) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
