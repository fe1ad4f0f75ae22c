"""AWS's own training toolkit starts our archive: the package that is in AWS's image, unchanged."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from contract.model_card import read_card
from pipeline.package import package_training

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
SETTINGS = {
    "backbone": "resnet18",
    "image_size_px": "32",
    "epochs": "2",
    "batch_size": "4",
    "hidden_units": "0",
    "weights": "random",
    "sagemaker_program": "train.py",
}
START = """
import sys
sys.path.append(sys.argv[1])  # behind this Python's own packages, torch among them
from sagemaker_training import entry_point, environment, logging_config, runner
env = environment.Environment()
logging_config.configure_logger(env.log_level)
entry_point.install = lambda **_: None  # no package index here; requirements are there already
entry_point.run(
    uri=sys.argv[2], user_entry_point=env.user_entry_point, args=env.to_cmd_args(),
    env_vars=env.to_env_vars(), capture_error=True, runner_type=runner.RunnerType[sys.argv[3]],
)
"""


def photos(folder: Path) -> None:
    """Two classes that differ by their colour."""
    for label, colour in (("blue", (20, 20, 230)), ("red", (230, 20, 20))):
        for split, count in (("train", 4), ("valid", 2), ("test", 2)):
            for n in range(count):
                file = folder / split / label / f"{n}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                pixel = tuple(min(255, part + 3 * n + len(split)) for part in colour)
                Image.new("RGB", (40, 40), pixel).save(file)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("build")
    package_training(REPOSITORY, build)
    return build / "training.tar.gz"


def start(
    base: Path, archive: Path, settings: dict[str, str], kind: str = "Process"
) -> "subprocess.CompletedProcess[str]":
    """Run the toolkit as a training container's entry point does, below another /opt/ml."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    photos(base / "input" / "data" / "training")
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
    files: dict[str, Any] = {
        "hyperparameters": settings,
        "inputdataconfig": {"training": channel},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    code = base / "archive"
    with tarfile.open(archive) as tar:
        tar.extractall(code, filter="data")
    [toolkit] = REPOSITORY.glob(".venv-toolkit/lib/*/site-packages")
    environment = {name: v for name, v in os.environ.items() if not name.startswith(("SM_", "AWS"))}
    environment |= {
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SAGEMAKER_BASE_DIR": str(base),
        "SM_STUDIO_LOCAL_MODE": "true",
        "TRAINING_JOB_NAME": "job",
    }
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        [sys.executable, "-c", START, str(toolkit), str(code), kind],
        env=environment,
        cwd=base,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("kind", ["Process", "TorchDistributed"])
def test_the_toolkit_trains_with_our_entry_point_and_the_model_can_be_served(
    tmp_path: Path, archive: Path, kind: str
) -> None:
    ran = start(tmp_path, archive, SETTINGS, kind)

    assert ran.returncode == 0, ran.stderr
    card = read_card(tmp_path / "model")
    assert card.provenance.hyperparameters["epochs"] == 2
    measured = {runtime.precision: runtime.accuracy for runtime in card.runtimes}
    assert measured == {
        "fp32": card.validation.accuracy,
        "bf16": card.validation.accuracy,
        "int8": None,
    }
    assert {"openvino.xml", "openvino.bin"} <= card.files.keys()
    assert (tmp_path / "model" / "code" / "serve.py").is_file()
    metrics = (tmp_path / "output" / "data" / "metrics.jsonl").read_text()
    assert '"event": "end"' in metrics


def test_a_model_outlives_an_export_that_dies(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    for folder in ("src", "requirements"):
        shutil.copytree(REPOSITORY / folder, root / folder)
    broken = root / "src" / "training" / "runtimes" / "export.py"
    broken.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    package_training(root, tmp_path)

    ran = start(tmp_path / "ml", tmp_path / "training.tar.gz", SETTINGS)

    assert ran.returncode == 0, ran.stderr
    assert "runtimes: the export failed" in ran.stdout + ran.stderr
    assert read_card(tmp_path / "ml" / "model").runtimes == ()
    assert (tmp_path / "ml" / "model" / "code" / "serve.py").is_file()


def test_a_mistake_reaches_sagemaker_as_one_sentence(tmp_path: Path, archive: Path) -> None:
    ran = start(tmp_path, archive, SETTINGS | {"epochs": "0"})

    assert ran.returncode != 0
    said = (tmp_path / "output" / "failure").read_text()
    assert said.count("\n") == 1
    assert "epochs must be" in said
