"""Whether images exist and are still patched."""

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from botocore.exceptions import ClientError

from contract.serving import OWN_IMAGE
from contract.settings import Ec2Training, Settings
from pipeline.aws import Account, error_code
from pipeline.doctor.findings import Finding, fail, ok, warn
from pipeline.image import SOURCES, image_exists, image_tag, repository_name

LIFE_ENDS = Path(__file__).with_name("life_ends.toml")


def check_containers(account: Account, settings: Settings) -> Iterator[Finding]:
    """The container images of the endpoint and of training jobs."""
    for what, setting, image in (
        ("endpoint", "endpoint.image", settings.endpoint.image),
        ("job", "training_job.image", settings.training_job.image),
    ):
        if image == OWN_IMAGE:
            yield from check_own_image(account, settings.name)
        elif "/" in image:
            yield from _own_image(account, f"{what} image {image}", setting, image)
        else:
            yield patched(f"{what} image {image}", image)


def check_own_image(account: Account, name: str) -> Iterator[Finding]:
    """The image that `make image` builds: what it is made from, whether it is there, its scan."""
    base = re.search(r"^FROM \S*/(\S+)@", SOURCES["Dockerfile"].read_text("utf-8"), re.MULTILINE)
    if base is not None:
        yield patched(f"base of the endpoint's image, {base[1]}", base[1])
    tag = image_tag()
    what = f"endpoint image {repository_name(name)}:{tag}"
    if not image_exists(account, name, tag):
        yield warn(f"{what} is not built yet", "make image; make apply does it too")
        return
    yield ok(what)
    yield _scan(account, name, tag)


def _scan(account: Account, name: str, tag: str) -> Finding:
    """What ECR found in an image when it was pushed."""
    what = f"scan of {repository_name(name)}:{tag}"
    try:
        found = account.client("ecr").describe_image_scan_findings(
            repositoryName=repository_name(name), imageId={"imageTag": tag}
        )
    except ClientError as error:
        if error_code(error) != "ScanNotFoundException":
            raise
        return ok(f"{what}: none yet")
    counts = found.get("imageScanFindings", {}).get("findingSeverityCounts", {})
    bad = [f"{counts[one]} {one.lower()}" for one in ("CRITICAL", "HIGH") if counts.get(one)]
    if not bad:
        return ok(f"{what}: nothing critical or high")
    return warn(
        f"{what}: {', '.join(bad)}",
        "name a newer digest in src/inference/image/Dockerfile, or make lock; then make image",
    )


def _own_image(account: Account, what: str, setting: str, image: str) -> Iterator[Finding]:
    address, _, name = image.partition("/")
    owner, _, rest = address.partition(".dkr.ecr.")
    if owner != account.account_id() or not rest.startswith(f"{account.region}."):
        yield ok(f"{what}: of another account or region, not looked at")
        return
    repository, digest, tag = re.split(r"(@|:)", name, maxsplit=1)
    wanted = {"imageDigest": tag} if digest == "@" else {"imageTag": tag}
    try:
        account.client("ecr").describe_images(repositoryName=repository, imageIds=[wanted])
    except ClientError as error:
        if error_code(error) not in {"ImageNotFoundException", "RepositoryNotFoundException"}:
            raise
        yield fail(f"{what} does not exist", f"push it, or set {setting}")
    else:
        yield ok(what)


def image_parameter(training: Ec2Training) -> str:
    """The public parameter that names the training instance's image, as modules/ec2_training."""
    family = training.instance_type.partition(".")[0]
    arm = re.fullmatch(r"a1|[a-z]+[0-9]+g[a-z]*", family)
    architecture = "arm64" if arm else "x86_64"
    if re.match(r"[gp][0-9]", family):
        line = f"oss-nvidia-driver-gpu-pytorch-{training.ami_line}"
        return f"/aws/service/deeplearning/ami/{architecture}/{line}/latest/ami-id"
    return f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"


def check_machine_image(account: Account, settings: Settings) -> Iterator[Finding]:
    """The image of the training instance, and the line that it comes from."""
    image_id = settings.ec2_training.ami_id
    if image_id is None:
        parameter = image_parameter(settings.ec2_training)
        try:
            found = account.client("ssm").get_parameter(Name=parameter)
        except ClientError as error:
            if error_code(error) != "ParameterNotFound":
                raise
            yield fail(
                f"training image: there is no parameter {parameter}",
                "correct ec2_training.ami_line; aws ssm get-parameters-by-path --recursive "
                "--path /aws/service/deeplearning/ami lists what there is",
            )
            return
        image_id = found["Parameter"]["Value"]
        line = parameter.removesuffix("/latest/ami-id").rpartition("/")[2]
        yield patched(f"training image line {line}", line)
    images = _images(account, image_id)
    if not images:
        yield fail(
            f"training image {image_id} does not exist here",
            "correct ec2_training.ami_id, or set it to null",
        )
        return
    until = images[0].get("DeprecationTime")
    if until and datetime.fromisoformat(until.replace("Z", "+00:00")) < datetime.now(UTC):
        yield warn(
            f"training image {image_id} is deprecated since {until[:10]}",
            "make apply takes a newer one when it next makes the instance",
        )
    else:
        yield ok(f"training image {image_id} ({images[0].get('Name', 'no name')})")


def _images(account: Account, image_id: str) -> list[dict[str, str]]:
    try:
        found = account.client("ec2").describe_images(ImageIds=[image_id], IncludeDeprecated=True)
    except ClientError as error:
        if error_code(error).startswith("InvalidAMIID"):
            return []
        raise
    return list(found["Images"])


def patched(what: str, name: str, today: date | None = None) -> Finding:
    """Whether an image is still patched, as far as life_ends.toml knows."""
    rows = tomllib.loads(LIFE_ENDS.read_text(encoding="utf-8"))
    keys = sorted((key for key in rows if name.startswith(key)), key=len)
    if not keys:
        return ok(f"{what}: no end of its patches is known")
    row = rows[keys[-1]]
    if row["ends"] < (today or datetime.now(UTC).date()):
        return warn(f"{what}: not patched since {row['ends']} ({row['source']})", row["then"])
    return ok(f"{what}: patched until {row['ends']}")
