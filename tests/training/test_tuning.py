"""`make tune`: whole searches, with their processes."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.main import main as train

pytestmark = pytest.mark.slow

SOURCE = str(Path(__file__).parents[2] / "src")
BACKBONE = {"backbone": "shufflenet_v2_x0_5", "image_size_px": 32}
HEAD = BACKBONE | {"epochs": 3, "batch_size": 8, "learning_rate": 0.0001, "hidden_units": 16}
SPACE = {
    "learning_rate": {"kind": "float", "low": 0.0001, "high": 0.1, "scale": "log"},
    "hidden_units": {"kind": "choice", "values": [0, 16]},
}
TRIALS = 6
MOST_BYTES = 1_200_000_000
"""Enough for small trials and too little for the widest head."""
SITECUSTOMIZE = """
import os, sys
log = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
deadly = os.environ.get("DEADLY", "?")
def watch(event, arguments):
    if event == "open" and "/test/" in str(arguments[0]):
        os.write(log, f"{os.getpid()} {arguments[0]}\\n".encode())
    if event == "open" and str(arguments[0]).endswith(deadly):
        os.kill(os.getpid(), 9)
sys.addaudithook(watch)
os.write(log, f"{os.getpid()} began\\n".encode())
"""
"""Tells who opens a picture of the test split, and dies when a certain file is opened."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for number, label in enumerate(("moss", "rust", "sky")):
        for split, count in (("train", 8), ("valid", 4), ("test", 3)):
            for index in range(count):
                rng = np.random.default_rng([number, count, index])
                pixels = 60 + 60 * np.eye(3)[number] + rng.normal(0, 30, (36, 36, 3))
                path = root / split / label / f"{index}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return root


class Place:
    """A folder to search in."""

    def __init__(self, home: Path, photos: Path, settings: Mapping[str, Any], **space: Any) -> None:
        self.home, self.photos = home, photos
        self.folder, self.hyperparameters = home / "tuning", home / "hyperparameters.json"
        home.mkdir(parents=True)
        self.hyperparameters.write_text(json.dumps(settings))
        (home / "space.json").write_text(json.dumps({"space": SPACE, "trials": TRIALS} | space))
        (home / "sitecustomize.py").write_text(SITECUSTOMIZE)
        self.opened = home / "opened"

    def start(self, *options: str, most_bytes: int = 0, **env: str) -> "subprocess.Popen[str]":
        def limit() -> None:
            if most_bytes:
                resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))

        return subprocess.Popen(
            [
                sys.executable, "-m", "training.tuning", f"--data={self.photos}",
                f"--folder={self.folder}", f"--cache-dir={self.home / 'cache'}",
                f"--search-space={self.home / 'space.json'}", "--weights=random",
                f"--hyperparameters={self.hyperparameters}", *options,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
            env=os.environ
            | {"PYTHONPATH": f"{self.home}:{SOURCE}", "OPENED": str(self.opened)}
            | {"OMP_NUM_THREADS": "1"}
            | env,
        )  # fmt: skip

    def search(self, *options: str, **how: Any) -> list[dict[str, Any]]:
        process = self.start(*options, **how)
        out, err = process.communicate()
        assert process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def search_until(self, trials: int, number: int) -> tuple[int, str]:
        """Send a signal after so many trials; exit code and what was said afterwards."""
        process = self.start()
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("done") == trials:
                process.send_signal(number)
                break
        out, _ = process.communicate()
        return process.returncode, out


def ended(events: list[dict[str, Any]], state: str = "complete") -> list[dict[str, Any]]:
    return [event for event in events if event.get("state") == state]


@pytest.fixture(scope="module")
def searched(
    tmp_path_factory: pytest.TempPathFactory, photos: Path
) -> tuple[Place, list[dict[str, Any]]]:
    place = Place(tmp_path_factory.mktemp("whole") / "place", photos, HEAD)
    return place, place.search()


Searched = tuple[Place, list[dict[str, Any]]]


def test_a_search_finds_better_values_than_those_it_began_with(searched: Searched) -> None:
    place, events = searched

    losses = [event["loss"] for event in ended(events)]
    assert len(losses) == TRIALS
    assert ended(events)[0]["values"] == {"learning_rate": 0.0001, "hidden_units": 16}
    assert min(losses) < 0.9 * losses[0]
    best = min(ended(events), key=lambda event: event["loss"])["values"]
    assert json.loads(place.hyperparameters.read_text()) == HEAD | best


def test_training_with_what_was_written_has_the_loss_of_the_best_trial(
    searched: Searched, tmp_path: Path
) -> None:
    place, events = searched
    arguments = {
        "data": place.photos, "model-dir": tmp_path / "model", "output-dir": tmp_path / "output",
        "hyperparameters": place.hyperparameters, "weights": "random",
        "cache-dir": tmp_path / "cache", "checkpoint-dir": tmp_path / "checkpoints",
    }  # fmt: skip

    assert train([f"--{name}={value}" for name, value in arguments.items()]) == 0

    lines = (tmp_path / "output" / "metrics.jsonl").read_text().splitlines()
    epochs = [event for line in lines if (event := json.loads(line))["event"] == "epoch"]
    assert epochs[-1]["best_valid_loss"] == events[-1]["best_valid_loss"]


def test_no_worker_opens_a_picture_of_the_test_split(searched: Searched) -> None:
    place, _ = searched

    told = [line.split(" ", 1) for line in place.opened.read_text().splitlines()]

    search, *workers = [pid for pid, what in told if what == "began"]
    opened = {(pid, what) for pid, what in told if what != "began"}
    # The search itself does, before its first trial: a picture that is in two splits must not be
    # trained on, so the contents are compared.
    assert opened == {(search, str(path)) for path in (place.photos / "test").rglob("*.jpg")}
    assert len(workers) == 1
    assert [pid for pid, _ in told[-len(workers) :]] == workers


def test_the_report_is_one_page_that_needs_nothing_else(searched: Searched) -> None:
    place, events = searched

    page = (place.folder / "report.html").read_text()

    assert page.count("<svg") == 4
    assert not re.search(r"""(src|href)=["'](?!#|data:)|@import|url\((?!#)""", page)
    for words in ("What matters", "What good trials have in common", "make train"):
        assert words in page
    assert f"{events[-1]['best_valid_loss']:.4f}" in page


def test_a_finished_search_that_is_started_again_tries_nothing(searched: Searched) -> None:
    place, events = searched

    again = place.search()

    assert [event["event"] for event in again] == ["search", "chosen"]
    assert again[-1]["trial"] == events[-1]["trial"]
    assert again[-1]["changes"] == {}


def test_a_search_that_is_stopped_and_killed_ends_like_one_that_was_not(
    searched: Searched, photos: Path, tmp_path: Path
) -> None:
    place = Place(tmp_path / "place", photos, HEAD)

    code, said = place.search_until(2, number=15)
    assert code == 143
    assert '"interrupted"' in said
    assert "make tune TRIALS=2" in said
    code, _ = place.search_until(4, number=9)
    assert code == -9
    events = place.search()

    tried = {
        event["trial"]: event
        for line in (place.folder / "metrics.jsonl").read_text().splitlines()
        if (event := json.loads(line))["event"] == "trial"
    }
    whole = [(event["values"], event["loss"]) for event in ended(searched[1])]
    assert [(event["values"], event["loss"]) for event in tried.values()] == whole
    assert events[0]["done"] == 4
    assert events[-1]["best_valid_loss"] == searched[1][-1]["best_valid_loss"]


def test_trials_that_diverge_or_are_killed_fail_alone(photos: Path, tmp_path: Path) -> None:
    space = {
        "learning_rate": {"kind": "choice", "values": [0.0001, 10]},
        "batch_size": {"kind": "choice", "values": [6, 12]},
    }
    settings = BACKBONE | {"method": "finetune", "hidden_units": 0, "epochs": 2}
    place = Place(tmp_path / "place", photos, settings, space=space, strategy="grid", trials=4)

    events = place.search(DEADLY="/0/metrics.jsonl")

    failed = {event["trial"]: event["reason"] for event in ended(events, "failed")}
    assert "its process was killed" in failed.pop(0)
    assert set(failed) == {2, 3}
    assert all("training diverged in epoch" in reason for reason in failed.values())
    assert [event["trial"] for event in ended(events)] == [1]
    assert "its process was killed" in (place.folder / "report.html").read_text()


def test_a_trial_that_gets_no_memory_fails_alone(photos: Path, tmp_path: Path) -> None:
    space = {"hidden_units": {"kind": "choice", "values": [65536, 0, 8]}}
    settings = HEAD | {"hidden_units": 0, "epochs": 1}
    place = Place(tmp_path / "place", photos, settings, space=space, strategy="grid", trials=3)

    events = place.search("--workers=2", most_bytes=MOST_BYTES)

    (failed,) = ended(events, "failed")
    assert failed["values"] == {"hidden_units": 65536}
    assert "ran out of memory" in failed["reason"]
    assert len(ended(events)) == 2


def test_a_second_search_in_the_same_folder_waits_its_turn(searched: Searched) -> None:
    place, _ = searched
    import fcntl

    with (place.folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = place.start()
        _, err = process.communicate()

    assert process.returncode == 2
    assert "another `make tune` is at work" in err


def test_a_search_that_fails_whatever_it_tries_says_why_and_counts_nothing(
    photos: Path, tmp_path: Path
) -> None:
    place = Place(tmp_path / "place", photos, HEAD | {"backbone": "resnet19"})

    process = place.start()
    _, err = process.communicate()

    assert process.returncode == 2
    assert "all of the first 3 trials failed: backbone is 'resnet19'" in err
    assert json.loads(place.hyperparameters.read_text())["learning_rate"] == 0.0001
