"""Precision and compiling are chosen by figures, and only where a run is worth it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from training import speed
from training.faster import Speed, faster
from training.identity import weights_sha256
from training.probe import Figures, Work, count_flop
from training.runlog import RunLog
from training.speed import choose_speed, decide

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]

FASTER = {"fp32": 10.0, "bf16": 4.0, "compiled bf16": 2.0}
AGREES = {"fp32": 0.0, "bf16": 0.01, "compiled bf16": 0.01}


class Asked:
    """Counts how often pictures to time were asked for."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> tuple[Tensor, Tensor]:
        self.times += 1
        random = torch.Generator().manual_seed(0)
        return torch.randn(4, 3, 16, 16, generator=random), torch.tensor([0, 1, 0, 1])


def work(kind: str = "forward", pictures: int = 1000) -> Work:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return Work(
        kind=kind,  # type: ignore[arg-type]
        network=network.train(kind == "train"),
        pictures=pictures,
        size_px=16,
        examples=Asked(),
        batch=4,
        weights=weights_sha256(network),
    )


def told(log: RunLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_text().splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "log", io.StringIO())


@pytest.mark.parametrize(
    ("times", "differs", "compile_seconds", "pictures", "chosen"),
    [
        (FASTER, AGREES, 60.0, 100_000, Speed(precision="bf16", compiled=True)),
        (FASTER, AGREES, 60.0, 20_000, Speed(precision="bf16")),
        (FASTER, {**AGREES, "compiled bf16": 0.2}, 1.0, 100_000, Speed(precision="bf16")),
        (FASTER, {**AGREES, "bf16": 0.2}, 1.0, 100_000, Speed()),
        ({**FASTER, "bf16": 11.0}, AGREES, 1.0, 100_000, Speed()),
    ],
)
def test_the_fastest_way_that_agrees_and_earns_its_compiling_is_chosen(
    times: dict[str, float],
    differs: dict[str, float],
    compile_seconds: float,
    pictures: int,
    chosen: Speed,
) -> None:
    figures = Figures(milliseconds=times, disagreement=differs, compile_seconds=compile_seconds)

    found, why = decide(figures, work(pictures=pictures), Hyperparameters(), compilable=True)

    assert found == chosen
    assert why.startswith("fp32 takes 10.0 ms a picture, bf16")


def test_a_network_that_does_not_compile_runs_without() -> None:
    figures = Figures(milliseconds=FASTER, disagreement=AGREES, fault="no compiler")

    found, why = decide(figures, work(), Hyperparameters(), compilable=True)

    assert found == Speed(precision="bf16")
    assert "compiling fails here (no compiler)" in why


def test_a_small_run_is_not_timed(tmp_path: Path, log: RunLog) -> None:
    job = work()

    found = choose_speed(job, Hyperparameters(), tmp_path / "cache", log)

    assert found == Speed()
    assert job.examples.times == 0  # type: ignore[attr-defined]
    assert "too small" in told(log)[0]["why"]


@pytest.mark.parametrize("kind", ["forward", "train"])
def test_a_large_run_is_timed_once_and_the_network_left_as_it_was(
    kind: str, tmp_path: Path, log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "WORTH_TIMING", {"forward": 1.0, "train": 1.0})
    job = work(kind)
    before = {name: value.clone() for name, value in job.network.state_dict().items()}
    randomness = torch.get_rng_state()

    first = choose_speed(job, Hyperparameters(), tmp_path, log)
    again = choose_speed(job, Hyperparameters(), tmp_path, log)

    assert first == again
    assert job.examples.times == 1  # type: ignore[attr-defined]
    assert set(told(log)[0]["milliseconds"]) == {"fp32", "bf16"}
    assert told(log)[0]["milliseconds"] == told(log)[1]["milliseconds"]
    assert all(torch.equal(v, before[n]) for n, v in job.network.state_dict().items())
    assert all(p.grad is None for p in job.network.parameters())
    assert job.network.training == (kind == "train")
    assert torch.equal(torch.get_rng_state(), randomness)


@pytest.mark.parametrize("damage", ["{", "[]", '{"milliseconds": {}, "other": 1}'])
def test_damaged_figures_are_measured_anew(
    damage: str, tmp_path: Path, log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "WORTH_TIMING", {"forward": 1.0, "train": 1.0})
    job = work()
    choose_speed(job, Hyperparameters(), tmp_path, log)
    (kept,) = (tmp_path / "speed").iterdir()
    kept.write_text(damage)

    choose_speed(job, Hyperparameters(), tmp_path, log)

    assert job.examples.times == 2  # type: ignore[attr-defined]


def test_what_is_asked_for_is_done_without_a_question(tmp_path: Path, log: RunLog) -> None:
    settings = Hyperparameters(precision="bf16", compiled="never")

    assert choose_speed(work(), settings, tmp_path, log) == Speed(precision="bf16")


def test_operations_are_those_of_the_layers() -> None:
    job = work(pictures=10)

    counted = count_flop(job, enough=0.0)

    assert counted == 10 * 2 * (14 * 14) * (3 * 3 * 3) * 4


def test_validation_and_test_are_answered_in_fp32_whatever_training_uses(
    folder: Folder, run: Run
) -> None:
    data = folder(train=6, valid=2, test=2)
    seen: dict[bool, list[int]] = {True: [], False: []}

    def look(layer: nn.Module, _: object, output: Tensor) -> None:
        if type(layer).__name__ == "ResNet":
            seen[torch.is_autocast_enabled("cpu")].append(len(output))

    with torch.nn.modules.module.register_module_forward_hook(look):
        run(data, "--epochs=1", "--precision=bf16")

    golden = [1] * seen[False].count(1)
    assert seen == {True: [18], False: [6, 6, *golden]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_a_compiled_network_says_the_same_and_takes_odd_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    network = work().network.eval()
    run = faster(network, Speed(compiled=True), batch=4)

    with torch.inference_mode():
        for count in (4, 3):
            images_BCSS = torch.randn(count, 3, 16, 16)
            assert torch.allclose(run(images_BCSS), network(images_BCSS), atol=1e-5)
