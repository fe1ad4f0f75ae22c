"""`make image`: makes what builds images, builds this checkout's, and is done when it is there."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.conftest import REPOSITORY, Stage

from pipeline import destroy, image
from pipeline.aws import Account
from pipeline.image import SOURCES, image_tag
from pipeline.setup import find_mirror, write_cli_config


def copy_sources(root: Path) -> None:
    """What an image is built from."""
    for path in SOURCES.values():
        (root / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, root / path)


@pytest.fixture
def workshop(account: Account, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage whose endpoint has its own image, and the real Terraform."""
    del account
    shutil.rmtree(stage.root / "infra")
    ignored = shutil.ignore_patterns(".terraform", "*.tfstate*")
    shutil.copytree(REPOSITORY / "infra", stage.root / "infra", ignore=ignored)
    copy_sources(stage.root)
    write_cli_config(stage.root / "terraform.rc", find_mirror())
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(stage.root / "terraform.rc"))
    stage.change_image("own")
    # Names of buckets and roles are short.
    stage.change_settings(name=stage.name[:12])
    yield stage
    assert destroy.main(["--yes"]) == 0


def builds(account: Account, stage: Stage) -> list[str]:
    """Every build so far."""
    name = image.project_name(stage.place.settings.name)
    found: list[str] = account.client("codebuild").list_builds_for_project(projectName=name)["ids"]
    return found


@pytest.mark.slow
def test_an_image_is_built_once_and_a_changed_lock_is_another_one(
    account: Account, workshop: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    first = image.main([])
    told = capsys.readouterr().out
    again = image.main([])
    told_again = capsys.readouterr().out
    lock = workshop.root / SOURCES["serve.txt"]
    lock.write_text(f"# other bytes, same packages\n{lock.read_text()}")
    third = image.main([])

    assert (first, again, third) == (0, 0, 0), told
    assert "some cents" in told
    assert "has every package of serve.txt" in told
    assert told_again.startswith("There already: image ")
    assert len(builds(account, workshop)) == 2


@pytest.mark.slow
def test_a_build_that_fails_says_why_and_leaves_no_image(
    account: Account, workshop: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = workshop.root / SOURCES["serve.txt"]
    lock.write_text(lock.read_text().replace("pillow==", "pillow==1"))

    code = image.main([])

    complaint = capsys.readouterr().err
    assert code == 1
    assert "pillow==1" in complaint
    assert f"/aws/codebuild/{image.project_name(workshop.place.settings.name)}" in complaint
    assert not image.image_exists(account, workshop.place.settings.name, image_tag())


def test_without_an_image_of_ones_own_there_is_nothing_to_build(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.change_image("ray:serve-ml-sagemaker-cpu-v1.4")

    code = image.main([])

    assert code == 2
    assert "endpoint.image is 'ray:serve-ml-sagemaker-cpu-v1.4'" in capsys.readouterr().err


def test_the_tag_is_what_the_build_computes(tmp_path: Path) -> None:
    import subprocess

    for name, path in SOURCES.items():
        shutil.copy(REPOSITORY / path, tmp_path / name)
    command = "sha256sum Dockerfile serve.txt | sha256sum | cut -c 1-16"
    spec = (REPOSITORY / "infra/modules/image/buildspec.yml").read_text()

    said = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)

    assert command in spec
    assert said.stdout.strip() == image_tag(REPOSITORY)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_byte_that_an_image_is_built_from_is_in_its_tag(tmp_path: Path, name: str) -> None:
    copy_sources(tmp_path)
    before = image_tag(tmp_path)

    with (tmp_path / SOURCES[name]).open("a") as file:
        file.write("\n")

    assert before == image_tag(REPOSITORY)
    assert image_tag(tmp_path) != before


@pytest.mark.slow
@pytest.mark.usefixtures("workshop")
def test_the_doctor_says_whether_the_image_is_there(account: Account, workshop: Stage) -> None:
    from pipeline.doctor.images import check_own_image

    def said() -> list[Any]:
        return [finding.line for finding in check_own_image(account, workshop.place.settings.name)]

    before = said()
    assert image.main([]) == 0
    after = said()

    assert before[0].startswith("ok    base of the endpoint's image, python:3.13-slim: patched")
    assert before[1].startswith("warn")
    assert before[1].endswith("make image; make apply does it too")
    assert after[1] == f"ok    endpoint image {workshop.place.settings.name}-serving:{image_tag()}"
    assert "scan of" in after[2]
