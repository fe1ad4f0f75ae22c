import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from tests.pipeline.models import write_model

from contract.release import Release, read_release
from contract.strict import ContractError
from pipeline.package import package_release, package_training

REPOSITORY = Path(__file__).parents[2]


def copy_checkout(target: Path) -> Path:
    """A checkout without what git does not keep."""
    target.mkdir(parents=True)
    for folder in ("config", "src", "requirements"):
        shutil.copytree(
            REPOSITORY / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    return target


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = copy_checkout(tmp_path / "checkout")
    write_model(root / "build" / "model")
    return root


def hashes(release: Release) -> tuple[str, str, str]:
    return release.model.sha256, release.training.sha256, release.function.sha256


def test_two_checkouts_give_the_same_three_hashes_whatever_path_umask_and_time(
    checkout: Path, tmp_path: Path
) -> None:
    here = package_release(checkout, checkout / "build")
    other = tmp_path / "another place" / "of other length"
    script = (
        "import os, sys, types; os.umask(0o077); from pathlib import Path\n"
        # One of the SDK's dependencies installs a package of this name.
        "sys.modules['tests'] = types.ModuleType('tests')\n"
        "sys.modules['tests'].__path__ = [str(Path('tests').resolve())]\n"
        "from tests.pipeline.test_package import copy_checkout\n"
        "from tests.pipeline.models import write_model\n"
        "from pipeline.package import main\n"
        "root = copy_checkout(Path(sys.argv[1])); write_model(root / 'build' / 'model')\n"
        "[os.utime(p, (1e9, 1e9)) for p in root.rglob('*')]\n"
        "(root / 'src' / 'contract' / '__pycache__').mkdir()\n"
        "(root / 'src' / 'contract' / '__pycache__' / 'x.py').write_text('#')\n"
        "(root / 'src' / 'inference' / '.hidden.py').write_text('#')\n"
        "os.chdir(root); sys.exit(main([]))"
    )
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])

    subprocess.run(
        [sys.executable, "-c", script, str(other)],
        check=True,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "TZ": "Asia/Tokyo"},
    )

    there = read_release(other / "build" / "release.tfvars.json")
    assert hashes(here) == hashes(there)


@pytest.mark.parametrize(
    ("changed", "archives"),
    [
        ("src/inference/server.py", [0, 1]),  # a job's model comes with the code that serves it
        ("src/training/__init__.py", [1]),
        ("requirements/train.txt", [1]),
        ("src/pipeline/run_on_instance.sh", [1]),
        ("src/lambda/handler.py", [2]),
    ],
)
def test_one_changed_byte_gives_its_archives_other_hashes(
    checkout: Path, changed: str, archives: list[int]
) -> None:
    before = hashes(package_release(checkout, checkout / "build"))
    with (checkout / changed).open("a") as file:
        file.write("#")

    after = hashes(package_release(checkout, checkout / "build"))

    assert [i for i in range(3) if before[i] != after[i]] == archives


def test_the_model_archive_is_laid_out_as_sagemaker_wants_it(checkout: Path) -> None:
    package_release(checkout, checkout / "build")

    with tarfile.open(checkout / "build" / "model.tar.gz") as tar:
        names = set(tar.getnames())
    assert {"model.json", "weights.safetensors", "golden.jpg"} <= names
    assert {"config.yaml", "deployment.py"} <= names  # AWS's Ray Serve image looks there
    assert {f"code/{name}" for name in ("inference.py", "serve.py", "requirements.txt")} <= names
    assert {"code/inference/__init__.py", "code/contract/model_card.py"} <= names
    assert not [name for name in names if "entry" in name or "pycache" in name]


def test_the_training_archive_runs_by_itself(checkout: Path) -> None:
    package_training(checkout, checkout / "build")

    with tarfile.open(checkout / "build" / "training.tar.gz") as tar:
        modes = {member.name: member.mode for member in tar.getmembers()}
    assert modes["run_on_instance.sh"] == 0o755
    assert {"train.py", "training/__init__.py", "contract/strict.py"} <= modes.keys()
    assert {f"requirements/{name}.txt" for name in ("train", "cpu", "cuda")} <= modes.keys()
    assert {
        "serving/code/serve.py",
        "serving/code/inference/server.py",
        "serving/deployment.py",
    } <= modes.keys()


def test_a_job_installs_what_awss_image_lacks_and_what_is_locked() -> None:
    locked = {**pinned("train"), **pinned("export")}

    lacking = pinned("job")

    assert lacking.keys() == {"openvino", "openvino-telemetry", "safetensors"}
    assert lacking.items() <= locked.items()


def test_what_a_job_installs_asks_for_nothing_that_has_no_hash() -> None:
    lacking = pinned("job").keys()

    asked = {
        re.split(r"[^\w.-]", wanted)[0]
        for name in lacking
        for wanted in metadata.requires(name) or []
        if "extra ==" not in wanted
    }

    # AWS's toolkit lets pip look for dependencies, and pip refuses one without a hash, needed
    # or not, but for what AWS's image has.
    assert asked - {"numpy"} <= lacking


def pinned(group: str) -> dict[str, str]:
    """The entries of a lock, with their hashes, by the names of the packages."""
    text = (REPOSITORY / "requirements" / f"{group}.txt").read_text()
    return {entry.split("==")[0]: entry for entry in re.split(r"\n(?=\S)", text.strip())}


def test_the_function_archive_has_the_handler_at_its_top(checkout: Path) -> None:
    package_release(checkout, checkout / "build")

    with zipfile.ZipFile(checkout / "build" / "function.zip") as archive:
        assert "handler.py" in archive.namelist()


def test_without_a_model_the_verb_that_makes_one_is_named(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path / "checkout")

    with pytest.raises(ContractError, match="make train"):
        package_release(root, root / "build")

    assert not (root / "build" / "release.tfvars.json").exists()


def test_an_altered_model_is_refused(checkout: Path) -> None:
    (checkout / "build" / "model" / "weights.safetensors").write_bytes(b"other")

    with pytest.raises(ContractError, match="SHA-256"):
        package_release(checkout, checkout / "build")
