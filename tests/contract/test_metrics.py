"""The patterns that SageMaker is given find the numbers of the line that training really prints."""

import io
import json
import re
from pathlib import Path

import pytest

from contract.metrics import EPOCH_METRICS, OBJECTIVE, metric_definitions
from contract.model_card import Metrics
from training.loop import Epoch, tell_epoch
from training.runlog import RunLog


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    """What training prints around an epoch, as a job's log gets it."""
    stream = io.StringIO()
    log = RunLog(tmp_path, stream)
    log.event("data", "another line with these names", best_valid_loss=9.0, valid_loss=9.0)
    valid = Metrics(accuracy=0.875, loss=0.5, pictures=8)
    epoch = Epoch(
        number=3, train_loss=1.5e-05, valid=valid, seconds=1.0, training_seconds=0.5,
        waiting_seconds=0.0,
    )  # fmt: skip
    tell_epoch(log, epoch, 5, best_valid_loss=0.25)
    return stream.getvalue().splitlines()


def test_each_metric_is_found_once_with_its_own_value(lines: list[str]) -> None:
    found = {
        one["Name"]: [match[1] for line in lines for match in re.finditer(one["Regex"], line)]
        for one in metric_definitions()
    }

    told = json.loads(lines[-1])
    assert {name: [float(text) for text in texts] for name, texts in found.items()} == {
        name: [told[name]] for name in EPOCH_METRICS
    }
    assert found["train_loss"] == ["1.5e-05"]
    assert found[OBJECTIVE] == ["0.25"]


def test_sagemaker_takes_the_definitions() -> None:
    for one in metric_definitions():
        assert len(one["Name"]) <= 255
        assert len(one["Regex"]) <= 500
        assert re.compile(one["Regex"]).groups == 1
