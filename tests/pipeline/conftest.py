"""A small stage of its own for tests that deploy: settings, Terraform, an empty build folder."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.settings import read_settings
from pipeline.aws import Account
from pipeline.cli import Place

REPOSITORY = Path(__file__).parents[2]
AWS_IMAGE = "pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
"""Nothing has to be built for it, so that the stack of words can be without what builds images."""
INFRA = Path(__file__).with_name("infra.tf")


@pytest.fixture
def account(local_aws: Any, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The local AWS, as the environment of this process says it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in local_aws.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Account(local_aws.region)


@pytest.fixture
def bucket(account: Account, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"test-{abs(hash(request.node.nodeid)):x}"[:40]
    s3 = account.client("s3")
    s3.create_bucket(Bucket=name)
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A folder to run verbs in."""

    root: Path
    name: str

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def settings_file(self) -> Path:
        return self.root / "config" / "local.tfvars.json"

    @property
    def place(self) -> Place:
        return Place(
            settings=read_settings(self.settings_file),
            settings_file=self.settings_file,
            build=self.build,
        )

    def change_settings(self, **values: Any) -> None:
        settings = json.loads(self.settings_file.read_text()) | values
        self.settings_file.write_text(json.dumps(settings))

    def change_image(self, image: str) -> None:
        endpoint = json.loads(self.settings_file.read_text())["endpoint"]
        self.change_settings(endpoint=endpoint | {"image": image})


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Stage:
    """The repository's settings under another name, and Terraform that makes a stack of words."""
    name = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    (tmp_path / "config").mkdir()
    (tmp_path / "infra").mkdir()
    (tmp_path / "build").mkdir()
    shutil.copy(REPOSITORY / "config" / "local.tfvars.json", tmp_path / "config")
    shutil.copy(INFRA, tmp_path / "infra" / "main.tf")
    stage = Stage(root=tmp_path, name=name)
    stage.change_settings(name=name)
    stage.change_image(AWS_IMAGE)
    monkeypatch.chdir(tmp_path)
    return stage
