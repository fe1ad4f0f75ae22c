"""Where a run's checkpoints lie when nobody says."""

from pathlib import Path

import pytest

from training.main import read_request

JOB = {"TRAINING_JOB_NAME": "dogs-1"}


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({}, "build/training/checkpoints"),
        (JOB, "/opt/ml/checkpoints/dogs-1"),
        ({**JOB, "SAGEMAKER_BASE_DIR": "/elsewhere/ml"}, "/elsewhere/ml/checkpoints/dogs-1"),
    ],
)
def test_checkpoints_lie_where_sagemaker_copies_them_from(env: dict[str, str], folder: str) -> None:
    assert read_request(["--data=photos"], env).checkpoint_dir == Path(folder)
    assert read_request(["--data=photos", "--checkpoint-dir=mine"], env).checkpoint_dir == Path(
        "mine"
    )
