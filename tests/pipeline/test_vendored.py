"""What function.zip carries where pictures are shrunk, fetched from a folder, not an index."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from tests.pipeline.models import write_model
from tests.pipeline.test_package import REPOSITORY, copy_checkout

from pipeline.cli import Failed
from pipeline.package import main, package_function
from pipeline.vendored import PLACE

WHEEL = "pillow-1.0-cp313-cp313-manylinux_2_28_aarch64.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, in the place of a package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("PIL/__init__.py", "__version__ = '1.0'\n")
        about = "pillow-1.0.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: pillow\nVersion: 1.0\n")
        tag = WHEEL.removesuffix(".whl").split("-", 2)[2]
        text = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n"
        wheel.writestr(f"{about}/WHEEL", text)
        wheel.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def checkout(tmp_path: Path, index: Path) -> Path:
    """A checkout whose lock pins that wheel."""
    root = copy_checkout(tmp_path / "checkout")
    digest = hashlib.sha256((index / WHEEL).read_bytes()).hexdigest()
    (root / "requirements" / "function.txt").write_text(f"pillow==1.0 --hash=sha256:{digest}\n")
    return root


def names(build: Path) -> set[str]:
    with zipfile.ZipFile(build / "function.zip") as archive:
        return set(archive.namelist())


def test_the_archive_carries_the_locked_wheel_and_fetches_it_once(
    checkout: Path, index: Path
) -> None:
    build = checkout / "build"

    first = package_function(checkout, build, shrinking=True)
    shutil.rmtree(index)
    second = package_function(checkout, build, shrinking=True)

    assert {"handler.py", "shrink.py", f"{PLACE}/PIL/__init__.py"} <= names(build)
    assert first == second


def test_without_the_setting_it_carries_code_only(checkout: Path) -> None:
    package_function(checkout, checkout / "build")

    assert all("/" not in name for name in names(checkout / "build"))


def test_a_wheel_that_is_not_the_locked_one_is_refused(checkout: Path) -> None:
    lock = checkout / "requirements" / "function.txt"
    lock.write_text(f"pillow==1.0 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(Failed, match=r"pins for Lambda \(ERROR: .*shrink_px to null"):
        package_function(checkout, checkout / "build", shrinking=True)

    assert not (checkout / "build" / "function.zip").exists()


def test_the_settings_of_the_stage_say_whether(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(checkout / "build" / "model")
    file = checkout / "config" / "local.tfvars.json"
    settings = json.loads(file.read_text())
    settings["function"]["shrink_px"] = 512
    file.write_text(json.dumps(settings))
    monkeypatch.chdir(checkout)

    assert main([]) == 0

    assert f"{PLACE}/PIL/__init__.py" in names(checkout / "build")


def test_what_is_locked_for_the_function_is_locked_for_the_endpoint_too() -> None:
    serve = (REPOSITORY / "requirements" / "serve.txt").read_text()

    locked = (REPOSITORY / "requirements" / "function.txt").read_text()

    assert locked.startswith("pillow==")
    assert locked.strip() in serve
