"""`make image`: builds the endpoint's own image in the account; nobody needs Docker.

An image's tag is made of the content of what it is built from, so one that is there already is
not built again, and a changed lock is another image.
"""

import argparse
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contract.model_card import file_sha256
from contract.serving import OWN_IMAGE
from contract.settings import Settings
from contract.strict import require
from pipeline.archives import Entry, write_zip
from pipeline.aws import Account, Client, error_code
from pipeline.cli import Failed, Place, find_place, run_verb, say, verb_parser
from pipeline.objects import put_once

ARCHIVE = "image.zip"
COST = "a few minutes of a small CodeBuild machine, some cents"
SOURCES = {
    "Dockerfile": Path("src/inference/image/Dockerfile"),
    "serve.txt": Path("requirements/serve.txt"),
}
"""What an image is built from: where it lies in a checkout, by its name in the archive."""
_ABSENT = {"ImageNotFoundException", "RepositoryNotFoundException"}
_POLL_SECONDS = 2.0


def image_tag(root: Path = Path()) -> str:
    """The tag of the image that a checkout makes: what `sha256sum` of both files hashes to."""
    lines = (f"{file_sha256(root / path)}  {name}\n" for name, path in sorted(SOURCES.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def image_variables(settings: Settings) -> dict[str, Any]:
    """What Terraform is told besides the settings, where the endpoint's image is our own."""
    return {"image_tag": image_tag()} if settings.endpoint.image == OWN_IMAGE else {}


def repository_name(name: str) -> str:
    """The repository that modules/image makes for a stack."""
    return f"{name}-serving"


def project_name(name: str) -> str:
    """The CodeBuild project that modules/image makes for a stack."""
    return f"{name}-image"


def image_exists(account: Account, name: str, tag: str) -> bool:
    """Whether a stack's repository has an image."""
    wanted = [{"imageTag": tag}]
    try:
        account.client("ecr").describe_images(repositoryName=repository_name(name), imageIds=wanted)
    except ClientError as error:
        if error_code(error) in _ABSENT:
            return False
        raise
    return True


def project_exists(account: Account, name: str) -> bool:
    """Whether there is something that builds a stack's images."""
    found = account.client("codebuild").batch_get_projects(names=[project_name(name)])
    return bool(found["projects"])


def build_image(account: Account, name: str, bucket: str, build: Path) -> str:
    """Build this checkout's image and follow the build's log.

    Args:
        account: where.
        name: the stack's.
        bucket: takes what is built from.
        build: folder for what is made here.

    Returns:
        The image's tag.

    Raises:
        Failed: the build did.
    """
    tag, file = image_tag(), build / ARCHIVE
    write_zip([Entry(inside, path) for inside, path in SOURCES.items()], file)
    key = f"image/{tag}/{ARCHIVE}"
    put_once(account.client("s3"), bucket, key, file, file_sha256(file), say)
    say(f"Building image {tag}: {COST}.")
    codebuild = account.client("codebuild")
    started = codebuild.start_build(
        projectName=project_name(name),
        sourceLocationOverride=f"{bucket}/{key}",
        environmentVariablesOverride=[{"name": "IMAGE_TAG", "value": tag, "type": "PLAINTEXT"}],
    )
    ended = _follow(account, codebuild, str(started["build"]["id"]))
    if ended["buildStatus"] != "SUCCEEDED":
        raise Failed(
            f"The build of image {tag} ended {ended['buildStatus']}: {_reason(ended)}. Its log is "
            f"in {ended['logs'].get('groupName', 'CodeBuild')}; `make image` tries again."
        )
    say(f"Image {repository_name(name)}:{tag} is there.")
    return tag


def _follow(account: Account, codebuild: Client, build_id: str) -> Mapping[str, Any]:
    """Print a build's log until it ends; what CodeBuild says of it then."""
    logs, token = account.client("logs"), ""
    while True:
        # Asked before the log is read, so that no line of a build that ended is missed.
        (build,) = codebuild.batch_get_builds(ids=[build_id])["builds"]
        token = _tell_new_lines(logs, build.get("logs", {}), token)
        if build["buildStatus"] != "IN_PROGRESS":
            return dict(build)
        time.sleep(_POLL_SECONDS)


def _tell_new_lines(logs: Client, where: Mapping[str, Any], token: str) -> str:
    """Print what a log got since `token`; the token to go on from."""
    while where.get("streamName"):
        try:
            found = logs.get_log_events(
                logGroupName=where["groupName"], logStreamName=where["streamName"],
                startFromHead=True, **({"nextToken": token} if token else {}),
            )  # fmt: skip
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":  # nothing was written yet
                break
            raise
        token = str(found["nextForwardToken"])
        for event in found["events"]:
            say(f"  {event['message'].rstrip()}")
        if not found["events"]:
            break
    return token


def _reason(build: Mapping[str, Any]) -> str:
    return next(_complaints(build), "CodeBuild gives no reason")


def _complaints(build: Mapping[str, Any]) -> Iterator[str]:
    for phase in build.get("phases", ()):
        for context in phase.get("contexts", ()):
            if context.get("message"):
                yield f"{phase['phaseType'].lower()}: {context['message']}"


def main(argv: Sequence[str] | None = None) -> int:
    """Build the image."""
    parser = verb_parser(__doc__)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return run_verb(parser, argv, _image)


def _image(options: argparse.Namespace) -> None:
    place = find_place(options)
    image = place.settings.endpoint.image
    require(
        image == OWN_IMAGE,
        f"endpoint.image is {image!r} in {place.settings_file}, so there is nothing to build. "
        f"Set it to {OWN_IMAGE!r} for an image of your own.",
    )
    account = Account(place.settings.region)
    tag = image_tag()
    if image_exists(account, place.settings.name, tag):
        say(f"There already: image {repository_name(place.settings.name)}:{tag}")
        return
    _build(place, account, yes=options.yes)


def _build(place: Place, account: Account, *, yes: bool) -> None:
    from pipeline.deployment import Deployment, Wishes
    from pipeline.opening import open_terraform, take_turn

    with take_turn(place, account) as turn:
        terraform = open_terraform(place, account, turn)
        Deployment(place, Wishes(yes=yes), account, terraform).build_image()


if __name__ == "__main__":
    raise SystemExit(main())
