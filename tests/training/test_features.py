"""Features are computed once for what they are made of."""

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.backbones import SPEC, counted, stored, tiny_source
from torch import Tensor, nn

from training import feature_cache
from training.batches import train_view
from training.chance import chance
from training.data import Data, read_data
from training.faster import Speed
from training.features import Source, Tally, View, features
from training.runlog import RunLog

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "log", io.StringIO())


@pytest.fixture
def data(folder: Folder) -> Data:
    return read_data(folder(train=30, valid=2))  # 90 training pictures: three batches


def look(
    source: Source, data: Data, cache: Path, log: RunLog, view: View | None = None
) -> tuple[Tensor, tuple[int, int]]:
    tally = Tally()
    found = features(source, data.split("train"), view or View(), cache, log, tally)
    return found, (tally.cached, tally.computed)


def told(result: dict[str, Any]) -> tuple[int, int]:
    (event,) = [event for event in result["events"] if event["event"] == "features"]
    return event["cached"], event["computed"]


def test_a_second_run_makes_no_forward_pass_for_its_features(
    folder: Folder, run: Run, tmp_path: Path
) -> None:
    data, cache = folder(train=12, valid=4), f"--cache-dir={tmp_path / 'shared'}"
    with counted("ResNet") as first:
        a = run(data, "--epochs=2", cache, name="a")
    with counted("ResNet") as second:
        b = run(data, "--epochs=2", cache, name="b")

    golden = [1] * second.count(1)
    assert told(a) == (0, 48)
    assert told(b) == (48, 0)
    assert sum(first) == 48 + len(golden)
    assert second == golden
    assert a["card"] == b["card"]


def test_each_view_is_computed_once_however_many_epochs_see_it(folder: Folder, run: Run) -> None:
    data = folder(train=6, valid=2)

    three = run(data, "--epochs=7", "--views=3", name="three")

    assert told(three) == (0, 3 * 18 + 6)


@pytest.mark.parametrize("changed", ["weights", "size", "view", "seed", "precision", "data"])
def test_what_features_are_made_of_changed_they_are_computed_anew(
    changed: str, data: Data, tmp_path: Path, log: RunLog
) -> None:
    source, view = tiny_source(), View(number=1, seed=7)
    look(source, data, tmp_path / "cache", log, view)
    if changed == "weights":
        source = tiny_source(seed=1)
    elif changed == "size":
        source = tiny_source(spec=replace(SPEC, resize_px=40))
    elif changed == "view":
        view = View(number=2, seed=7)
    elif changed == "seed":
        view = View(number=1, seed=8)
    elif changed == "precision":
        source = tiny_source(speed=Speed(precision="bf16"))
    else:
        pictures = tuple(replace(p, sha256=p.sha256[::-1]) for p in data.pictures)
        data = replace(data, pictures=pictures)

    _, counts = look(source, data, tmp_path / "cache", log, view)

    assert counts == (0, 90)


def test_another_place_for_the_same_pictures_changes_nothing(
    data: Data, tmp_path: Path, log: RunLog
) -> None:
    look(tiny_source(), data, tmp_path / "cache", log)
    data.root.rename(tmp_path / "moved")

    _, counts = look(tiny_source(), read_data(tmp_path / "moved"), tmp_path / "cache", log)

    assert counts == (90, 0)


def test_one_changed_picture_costs_one_batch(data: Data, tmp_path: Path, log: RunLog) -> None:
    look(tiny_source(), data, tmp_path / "cache", log)
    first, *others = data.pictures
    data = replace(data, pictures=(replace(first, sha256="0" * 64), *others))

    _, counts = look(tiny_source(), data, tmp_path / "cache", log)

    assert counts == (58, 32)


def test_damaged_files_are_as_good_as_none(data: Data, tmp_path: Path, log: RunLog) -> None:
    whole, _ = look(tiny_source(), data, tmp_path / "cache", log)
    torn, flipped, _ = stored(tmp_path / "cache")
    torn.write_bytes(torn.read_bytes()[:-7])
    content = bytearray(flipped.read_bytes())
    content[-1] ^= 1
    flipped.write_bytes(content)

    again, (cached, computed) = look(tiny_source(), data, tmp_path / "cache", log)

    assert torch.equal(again, whole)
    assert cached in (26, 32)
    assert computed == 90 - cached
    assert look(tiny_source(), data, tmp_path / "cache", log)[1] == (90, 0)


def test_features_of_an_interrupted_run_are_not_lost(
    data: Data, tmp_path: Path, log: RunLog
) -> None:
    class StopError(Exception):
        pass

    class Stops(nn.Module):
        seen = 0

        def forward(self, features_BF: Tensor) -> Tensor:
            Stops.seen += 1
            if Stops.seen == 3:
                raise StopError
            return features_BF

    whole, _ = look(tiny_source(), data, tmp_path / "other", log)
    stopping = tiny_source()
    stopping.backbone.append(Stops())  # type: ignore[operator]  # a Sequential's
    with pytest.raises(StopError):
        look(stopping, data, tmp_path / "cache", log)

    resumed, (cached, computed) = look(tiny_source(), data, tmp_path / "cache", log)

    assert torch.equal(resumed, whole)
    assert cached == 90 - computed
    assert computed in (26, 32)


def test_views_are_those_of_training_and_the_plain_one_is_that_of_serving(data: Data) -> None:
    picture = data.split("train")[5]
    raw = picture.path.read_bytes()

    seen = View(number=3, seed=7).pixels(picture, 5, SPEC)

    assert (seen == train_view(raw, SPEC, chance(7, 3, 6))).all()
    assert not (seen == View().pixels(picture, 5, SPEC)).all()


def test_a_cache_that_cannot_be_written_is_said_once_and_costs_nothing_else(
    data: Data, tmp_path: Path, log: RunLog, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")

    found, counts = look(tiny_source(), data, tmp_path / "cache", log)

    assert counts == (0, 90)
    assert found.shape == (90, 24)
    assert capsys.readouterr().err.count("features cannot be kept") == 1


def test_what_was_not_used_for_longest_makes_room(
    data: Data, tmp_path: Path, log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    for seed in (1, 2):
        look(tiny_source(seed), data, cache, log)
    look(tiny_source(1), data, cache, log)  # used again
    size = sum(path.stat().st_size for path in stored(cache)) // 2
    monkeypatch.setattr(feature_cache, "MOST_BYTES", 2 * size)

    look(tiny_source(3), data, cache, log)

    kept = {seed: look(tiny_source(seed), data, cache, log)[1][0] for seed in (1, 3, 2)}
    assert kept == {1: 90, 3: 90, 2: 0}


BESIDE_ANOTHER = """
import sys
from pathlib import Path
from backbones import tiny_source
from training.data import read_data
from training.features import Tally, View, features
from training.runlog import RunLog

data, cache, out = (Path(name) for name in sys.argv[1:])
train, tally = read_data(data).split("train"), Tally()
print("ready", flush=True)
sys.stdin.readline()
found = features(tiny_source(), train, View(), cache, RunLog(out), tally)
print(tally.cached + tally.computed, found.double().sum().item().hex())
"""


@pytest.mark.slow
def test_two_processes_at_once_share_a_cache(folder: Folder, tmp_path: Path) -> None:
    data, cache = folder(train=200, valid=2), tmp_path / "cache"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", BESIDE_ANOTHER, str(data), str(cache), str(tmp_path / name)],
            env={"PYTHONPATH": "src:tests/training", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"

    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    said = [run.communicate(timeout=120)[0].splitlines()[-1] for run in runs]

    assert said[0] == said[1]
    assert said[0].startswith("600 ")
    assert len(stored(cache)) == 19
    assert not list((cache / "features").rglob("*.part"))
