"""`make upload`: the release's archives, the notebook, and with --data pictures, to the bucket.

All but the notebook's files is named by its content, so what is there already is not sent again,
and nothing is ever overwritten.
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.model_card import file_sha256
from contract.release import Artifact, Release, read_release
from contract.strict import require
from pipeline.aws import Account, Client
from pipeline.cli import find_place, run_verb, say, verb_parser
from pipeline.notebook_files import Starts, upload_notebook
from pipeline.objects import is_there, put_missing, put_once
from pipeline.package import RELEASE_FILE, package_training
from pipeline.stacks import stack_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A folder of pictures and its name by content."""

    files: dict[str, Path]
    """By path below the folder, with slashes."""

    sha256: str
    """Of every file's path and content."""

    @property
    def prefix(self) -> str:
        """Where it lies in the bucket."""
        return f"data/{self.sha256}/"


def read_dataset(folder: Path) -> Dataset:
    """List and hash a folder of pictures, hidden files aside.

    Raises:
        ContractError: there is nothing in it.
    """
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    require(
        bool(files), f"{folder} holds no pictures; `make data` draws some, DATA=folder names yours."
    )
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\t{file_sha256(files[name])}\n".encode())
    return Dataset(files=files, sha256=digest.hexdigest())


def upload_release(
    s3: Client, bucket: str, release: Release, build: Path, tell: Callable[[str], None]
) -> None:
    """Make sure that the bucket has all three archives."""
    for artifact in (release.model, release.training, release.function):
        upload_archive(s3, bucket, artifact, build, tell)


def upload_archive(
    s3: Client, bucket: str, artifact: Artifact, build: Path, tell: Callable[[str], None]
) -> None:
    """Make sure that the bucket has one archive.

    Raises:
        ContractError: it has not, and the file in `build` is missing or another one.
    """
    if is_there(s3, bucket, artifact.key, artifact.sha256):
        tell(f"There already: {artifact.key}")
        return
    file = packaged(artifact, build)
    sent = put_once(s3, bucket, artifact.key, file, artifact.sha256, tell)
    tell(f"{'Uploaded' if sent else 'There already'}: {artifact.key}")


def packaged(artifact: Artifact, build: Path) -> Path:
    """An archive as `make package` left it.

    Raises:
        ContractError: it is missing or another one.
    """
    file = build / Path(artifact.key).name
    require(file.is_file(), f"{file} does not exist; `make package` makes it.")
    found = file_sha256(file)
    require(
        found == artifact.sha256,
        f"{file} has SHA-256 {found}; {build / RELEASE_FILE} names {artifact.sha256}. "
        "Run `make package` again.",
    )
    return file


def upload_dataset(s3: Client, bucket: str, dataset: Dataset, tell: Callable[[str], None]) -> str:
    """Make sure that the bucket has every picture of a folder.

    Returns:
        Its address, `s3://...`, ending with a slash.
    """
    sent = put_missing(s3, bucket, dataset.prefix, dataset.files, tell)
    tell(f"Data: {len(dataset.files)} files, {sent} of them uploaded now, at {dataset.prefix}")
    return f"s3://{bucket}/{dataset.prefix}"


def main(argv: Sequence[str] | None = None) -> int:
    """Upload."""
    parser = verb_parser(__doc__)
    parser.add_argument("--data", type=Path, help="a folder of pictures to upload as well")
    for name in ("hyperparameters", "search-space"):
        default = Path("config") / f"{name.replace('-', '_')}.json"
        parser.add_argument(
            f"--{name}", type=Path, default=default, metavar="FILE", help="what the notebook uses"
        )
    return run_verb(parser, argv, _upload)


def _upload(options: argparse.Namespace) -> None:
    place = find_place(options)
    file, stack = place.build / RELEASE_FILE, stack_of(place)
    # The notebook trains a first model where there is no release yet.
    release = None if stack.notebook_name and not file.exists() else read_release(file)
    s3 = Account(stack.region).client("s3")
    if release is not None:
        upload_release(s3, stack.bucket, release, place.build, say)
    if options.data:
        upload_dataset(s3, stack.bucket, read_dataset(options.data), say)
    if stack.notebook_name:
        code = package_training(Path(), place.build)
        upload_archive(s3, stack.bucket, code, place.build, say)
        starts = Starts(hyperparameters=options.hyperparameters, search_space=options.search_space)
        upload_notebook(s3, stack, place, starts, code, say)


if __name__ == "__main__":
    raise SystemExit(main())
