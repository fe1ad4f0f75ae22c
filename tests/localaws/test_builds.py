"""Builds of images: what they read, write and push is decided by the project's role."""

import io
import json
import threading
import time
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.images import ImageError, pull_image

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "infra/modules/image/buildspec.yml").read_text()
TAG_TEST = 'test "$(sha256sum Dockerfile serve.txt | sha256sum | cut -c 1-16)" = "$IMAGE_TAG"\n'
RIGHTS = ("s3:GetObject", "logs:*", "ecr:*")


def files(**changed: bytes) -> dict[str, bytes]:
    """What the repository's image is built from."""
    sources = {
        "Dockerfile": ROOT / "src/inference/image/Dockerfile",
        "serve.txt": ROOT / "requirements/serve.txt",
    }
    return {name: path.read_bytes() for name, path in sources.items()} | changed


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A repository and projects that push to it."""

    aws: Any
    repository: str

    def role(self, *actions: str) -> str:
        iam, name = self.aws.client("iam"), f"builds-{uuid.uuid4().hex[:8]}"
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": ["codebuild.amazonaws.com", "sagemaker.amazonaws.com"]},
        }
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
        allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_policy(allow))
        return str(made["Role"]["Arn"])

    @property
    def address(self) -> str:
        registry = f"{self.aws.account_id}.dkr.ecr.{self.aws.region}.amazonaws.com"
        return f"{registry}/{self.repository}"

    def project(self, role_arn: str, spec: str = SPEC) -> str:
        name = f"builds-{uuid.uuid4().hex[:8]}"
        self.aws.client("codebuild").create_project(
            name=name,
            source={"type": "S3", "location": "builds-source/image/", "buildspec": spec},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [{"name": "REPOSITORY", "value": self.address}],
            },
            serviceRole=role_arn,
            logsConfig={"cloudWatchLogs": {"status": "ENABLED", "groupName": f"/builds/{name}"}},
        )
        return name

    def build(self, project: str, content: dict[str, bytes], tag: str) -> dict[str, Any]:
        """Build, and wait until it has ended."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            for name, data in content.items():
                zipped.writestr(name, data)
        key = f"image/{uuid.uuid4().hex}/image.zip"
        self.aws.client("s3").put_object(Bucket="builds-source", Key=key, Body=archive.getvalue())
        codebuild = self.aws.client("codebuild")
        started = codebuild.start_build(
            projectName=project,
            sourceLocationOverride=f"builds-source/{key}",
            environmentVariablesOverride=[{"name": "IMAGE_TAG", "value": tag}],
        )["build"]
        assert started["buildStatus"] == "IN_PROGRESS"
        deadline, pause = time.monotonic() + 60, threading.Event()
        while time.monotonic() < deadline:
            [build] = codebuild.batch_get_builds(ids=[started["id"]])["builds"]
            if build["buildStatus"] != "IN_PROGRESS":
                return dict(build)
            pause.wait(0.1)
        raise AssertionError(f"the build goes on and on: {build}")

    def log(self, build: dict[str, Any]) -> str:
        logs = self.aws.client("logs")
        found = logs.filter_log_events(logGroupName=build["logs"]["groupName"])
        return "\n".join(event["message"] for event in found["events"])

    def tags(self) -> set[str]:
        found = self.aws.client("ecr").describe_images(repositoryName=self.repository)
        return {tag for image in found["imageDetails"] for tag in image["imageTags"]}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def complaint(build: dict[str, Any]) -> str:
    """What a failed build says of itself."""
    return str(next(c["message"] for p in build["phases"] for c in p.get("contexts", ())))


@pytest.fixture(scope="module")
def workshop(local_aws: Any) -> Workshop:
    local_aws.client("s3").create_bucket(Bucket="builds-source")
    repository = f"builds-{uuid.uuid4().hex[:8]}"
    local_aws.client("ecr").create_repository(
        repositoryName=repository, imageTagMutability="IMMUTABLE"
    )
    return Workshop(aws=local_aws, repository=repository)


def test_a_build_checks_the_packages_and_pushes_its_tag(workshop: Workshop) -> None:
    from pipeline.image import image_tag

    tag = image_tag(ROOT)

    build = workshop.build(workshop.project(workshop.role(*RIGHTS)), files(), tag)

    assert build["buildStatus"] == "SUCCEEDED", workshop.log(build)
    assert tag in workshop.tags()
    assert "has every package of serve.txt" in workshop.log(build)


def test_a_tag_that_is_not_of_these_files_is_not_pushed(workshop: Workshop) -> None:
    build = workshop.build(workshop.project(workshop.role(*RIGHTS)), files(), "0" * 16)

    assert build["buildStatus"] == "FAILED"
    assert "exit status 1" in complaint(build)
    assert "0" * 16 not in workshop.tags()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (b"pillow==1.0.0 --hash=sha256:" + b"0" * 64, "pillow==1.0.0"),
        (b"no-such-package==1.0.0 --hash=sha256:" + b"0" * 64, "no-such-package==1.0.0"),
    ],
)
def test_a_package_that_this_computer_lacks_fails_the_build(
    workshop: Workshop, changed: bytes, told: str
) -> None:
    project = workshop.project(workshop.role(*RIGHTS), SPEC.replace(f"- {TAG_TEST}", "- 'true'\n"))

    build = workshop.build(project, files(**{"serve.txt": changed}), "1" * 16)

    assert build["buildStatus"] == "FAILED"
    assert told in complaint(build)
    assert told in workshop.log(build)


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        (("logs:*", "ecr:*"), "CLIENT_ERROR: AccessDenied"),
        (("s3:GetObject", "logs:*", "ecr:InitiateLayerUpload"), "ecr:GetAuthorizationToken"),
        (
            (*RIGHTS[:2], "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability"),
            "ecr:InitiateLayerUpload",
        ),
        (
            (*RIGHTS[:2], "ecr:*Layer*", "ecr:GetAuthorizationToken"),
            "not authorized to perform: ecr:PutImage",
        ),
    ],
)
def test_a_role_without_a_right_fails_the_build(
    workshop: Workshop, rights: tuple[str, ...], told: str
) -> None:
    from pipeline.image import image_tag

    build = workshop.build(workshop.project(workshop.role(*rights)), files(), image_tag(ROOT))

    assert build["buildStatus"] == "FAILED"
    assert told in complaint(build)


def test_a_command_of_docker_that_is_not_imitated_is_refused_by_name(workshop: Workshop) -> None:
    spec = "version: 0.2\nphases: {build: {commands: [docker save x]}}\n"

    build = workshop.build(workshop.project(workshop.role(*RIGHTS), spec), files(), "2" * 16)

    assert complaint(build) == "localaws does not imitate `docker save x`"


def test_codebuild_takes_only_a_role_that_trusts_it(workshop: Workshop) -> None:
    iam = workshop.aws.client("iam")
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"},
    }
    name = f"builds-{uuid.uuid4().hex[:8]}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]

    with pytest.raises(ClientError, match="codebuild"):
        workshop.project(arn)


def test_an_image_of_this_account_that_is_not_there_is_not_pulled(workshop: Workshop) -> None:
    found: Any = _Asking(workshop.aws)
    missing = f"{workshop.address}:3333333333333333"

    with pytest.raises(ImageError, match=f"Requested image {missing} not found"):
        pull_image(found, "arn:aws:iam::1:role/any", missing)
    pull_image(
        found, "arn:aws:iam::1:role/any", missing.replace(workshop.aws.account_id, "763104351884")
    )


class _Asking:
    """The local AWS of the tests, whose roles may do anything."""

    def __init__(self, aws: Any) -> None:
        self.account_id = aws.account_id
        self._aws = aws

    def records_client(self, service: str) -> Any:
        return self._aws.client(service)

    def may(self, *_: Any) -> bool:
        return True
