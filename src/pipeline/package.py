"""`make package`: the three archives of a release, the same bytes on every machine.

build/model.tar.gz     the model and the code that serves it
build/training.tar.gz  the code that trains, and what it needs installed
build/function.zip     the Lambda function
build/release.tfvars.json names all three by their content.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from contract.model_card import CARD_FILE, file_sha256, read_card
from contract.release import Artifact, Release, write_release
from contract.strict import require
from pipeline.archives import Entry, write_tar_gz, write_zip
from pipeline.cli import find_place, run_verb, say, verb_parser
from pipeline.vendored import vendored

MODEL_ARCHIVE = "model.tar.gz"
TRAINING_ARCHIVE = "training.tar.gz"
FUNCTION_ARCHIVE = "function.zip"
RELEASE_FILE = "release.tfvars.json"
RAY_FILES = ("config.yaml", "deployment.py")
"""What AWS's Ray Serve image looks for at the archive's top."""
LOCKS = ("cpu.txt", "cuda.txt", "train.txt")
JOB_LOCK = "job.txt"
"""What AWS's training image lacks; its toolkit installs it before a job's script starts."""


def package_release(root: Path, build: Path, *, shrinking: bool = False) -> Release:
    """Write all three archives and the release file.

    Args:
        root: the checkout.
        build: has `model/`, as training leaves it.
        shrinking: whether the function is to shrink pictures.

    Raises:
        ContractError: there is no model, or it was altered.
        Failed: what shrinks pictures could not be fetched.
    """
    release = Release(
        function=package_function(root, build, shrinking=shrinking),
        model=package_model(root, build),
        training=package_training(root, build),
    )
    write_release(release, build / RELEASE_FILE)
    return release


def package_model(root: Path, build: Path) -> Artifact:
    """Write build/model.tar.gz.

    Raises:
        ContractError: there is no model, or it was altered.
    """
    folder = build / "model"
    card = read_card(folder)
    entries = [Entry(name, folder / name) for name in (CARD_FILE, *card.files)]
    entries += _serving(root, "")
    write_tar_gz(entries, build / MODEL_ARCHIVE)
    return _artifact("model", build / MODEL_ARCHIVE)


def package_training(root: Path, build: Path) -> Artifact:
    """Write build/training.tar.gz; needs no model."""
    source = root / "src"
    entries = [
        Entry("run_on_instance.sh", source / "pipeline" / "run_on_instance.sh", executable=True),
        Entry("train.py", source / "training" / "entry" / "train.py"),
        Entry("requirements.txt", root / "requirements" / JOB_LOCK),
    ]
    entries += [Entry(f"requirements/{name}", root / "requirements" / name) for name in LOCKS]
    entries += _sources(root, "training", "") + _sources(root, "contract", "")
    entries += _serving(root, "serving/")  # a job packs it beside its model
    write_tar_gz(entries, build / TRAINING_ARCHIVE)
    return _artifact("training", build / TRAINING_ARCHIVE)


def package_function(root: Path, build: Path, *, shrinking: bool = False) -> Artifact:
    """Write build/function.zip; needs no model.

    Raises:
        Failed: what shrinks pictures could not be fetched.
    """
    folder = root / "src" / "lambda"
    entries = [Entry(file.name, file) for file in folder.glob("*.py") if file.name != "__init__.py"]
    entries += vendored(root, build) if shrinking else []
    write_zip(entries, build / FUNCTION_ARCHIVE)
    return _artifact("function", build / FUNCTION_ARCHIVE)


def _serving(root: Path, prefix: str) -> list[Entry]:
    """What serves a model, beside it."""
    code = f"{prefix}code/"
    return [
        *(Entry(f"{prefix}{name}", _entry(root) / name) for name in RAY_FILES),
        *(
            Entry(f"{code}{file.name}", file)
            for file in sorted(_entry(root).iterdir())
            if file.suffix in {".py", ".txt"} and file.name not in RAY_FILES
        ),
        *_sources(root, "inference", code),
        *_sources(root, "contract", code),
    ]


def _entry(root: Path) -> Path:
    """The files that start serving in one image or another."""
    return root / "src" / "inference" / "entry"


def _sources(root: Path, room: str, prefix: str) -> list[Entry]:
    """The Python files of a room, but for its `entry/`, whose files go to the archive's top."""
    folder = root / "src" / room
    found = {file.relative_to(folder): file for file in folder.rglob("*.py")}
    names = [
        name
        for name in found
        if name.parts[0] != "entry"
        and not any(part.startswith((".", "__pycache")) for part in name.parts)
    ]
    require(bool(names), f"{folder} has no Python files; run this at the top of a checkout.")
    return [Entry(f"{prefix}{room}/{name.as_posix()}", found[name]) for name in names]


def _artifact(kind: str, path: Path) -> Artifact:
    digest = file_sha256(path)
    return Artifact(key=f"{kind}/{digest}/{path.name}", sha256=digest)


def main(argv: Sequence[str] | None = None) -> int:
    """Package a release."""
    return run_verb(verb_parser(__doc__), argv, _package)


def _package(options: argparse.Namespace) -> None:
    shrink_px = find_place(options).settings.function.shrink_px
    release = package_release(Path(), options.build, shrinking=shrink_px is not None)
    for name, artifact in (
        (MODEL_ARCHIVE, release.model),
        (TRAINING_ARCHIVE, release.training),
        (FUNCTION_ARCHIVE, release.function),
    ):
        size_mb = (options.build / name).stat().st_size / 1e6
        say(f"{artifact.sha256}  {options.build / name} ({size_mb:.1f} MB)")
    say(f"Release {release.version} is described by {options.build / RELEASE_FILE}.")


if __name__ == "__main__":
    raise SystemExit(main())
