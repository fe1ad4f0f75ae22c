"""What a study proposes, remembers and forgets; a formula stands in for training."""

import dataclasses
import json
import math
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from contract.hyperparameters import Hyperparameters
from contract.search_space import Searched, SearchSpace
from contract.strict import ContractError
from training.tuning.outcome import write_outcome
from training.tuning.study import Proposal, Study, stored

RATE = Searched(kind="float", low=1e-5, high=1.0, scale="log")
SPACE = {
    "learning_rate": RATE,
    "weight_decay": Searched(kind="float", low=1e-6, high=0.1, scale="log"),
    "batch_size": Searched(kind="int", low=8, high=512, scale="log"),
    "hidden_units": Searched(kind="choice", values=(0, 64, 128, 256)),
    "label_smoothing": Searched(kind="float", low=0.0, high=0.2),
}
BASE = Hyperparameters(learning_rate=10)  # outside of the space, so that it is no trial


def loss_of(settings: Hyperparameters) -> float:
    """Lowest, 0, at 0.003, 0.0001, 64, 128 and 0.1."""
    return (
        math.log10(settings.learning_rate / 0.003) ** 2
        + 0.3 * math.log10(settings.weight_decay / 0.0001) ** 2
        + 0.1 * math.log2(settings.batch_size / 64) ** 2
        + 0.4 * (settings.hidden_units != 128)
        + 10 * abs(settings.label_smoothing - 0.1)
    )


def study_of(base: Hyperparameters = BASE, **changes: Any) -> Study:
    given: Any = {"space": SPACE, "trials": 40} | changes
    space = SearchSpace(**given)
    return Study(InMemoryStorage(), "study", space, base)


def asked(study: Study) -> Proposal:
    proposal = study.ask()
    assert proposal is not None
    return proposal


def settings_in(proposal: Proposal) -> Hyperparameters:
    assert proposal.settings is not None
    return proposal.settings


def try_one(study: Study) -> Hyperparameters:
    proposal = asked(study)
    settings = settings_in(proposal)
    study.complete(proposal.number, loss_of(settings))
    return settings


def trials_until(strategy: str, seed: int, loss: float, most: int) -> int:
    study = study_of(strategy=strategy, seed=seed, trials=most)
    tried = (loss_of(try_one(study)) for _ in range(most))
    return next((n for n, found in enumerate(tried, 1) if found <= loss), most + 1)


def test_the_search_finds_a_planted_optimum_in_fewer_trials_than_chance() -> None:
    ours, random = (
        statistics.median(trials_until(strategy, seed, loss=0.8, most=40) for seed in range(10))
        for strategy in ("bayesian", "random")
    )

    assert ours < 0.75 * random
    assert ours < 30


def test_a_search_that_was_killed_tries_what_it_would_have_tried(tmp_path: Path) -> None:
    def search(file: Path, trials: int) -> list[Hyperparameters]:
        with stored(file) as storage:
            study = Study(storage, "study", SearchSpace(space=SPACE), BASE)
            study.give_up_running()
            found = [try_one(study) for _ in range(trials)]
            study.ask()  # left running, as by a kill
        return found

    whole = search(tmp_path / "whole.db", 9)
    parts = search(tmp_path / "parts.db", 4) + search(tmp_path / "parts.db", 5)

    assert parts == whole


def test_a_trial_that_was_running_is_marked_and_not_counted() -> None:
    study = study_of()
    proposal = asked(study)
    study.live.clear()  # the search that knew of it is gone

    assert study.give_up_running() == 1
    trial = study.study.trials[proposal.number]
    assert trial.state == TrialState.FAIL
    assert study.counted() == []
    assert settings_in(asked(study)) == settings_in(proposal)


def test_what_is_used_today_is_tried_first() -> None:
    base = Hyperparameters(learning_rate=0.02, label_smoothing=0.05)

    study = study_of(base)

    assert settings_in(asked(study)) == base


def test_trials_at_the_same_time_differ() -> None:
    study = study_of()

    at_once = [json.dumps(asdict(settings_in(asked(study)))) for _ in range(8)]

    assert len(set(at_once)) == 8


@pytest.mark.parametrize("strategy", ["bayesian", "random", "grid"])
def test_a_small_space_is_tried_whole_and_nothing_twice(strategy: str) -> None:
    space = {
        "hidden_units": Searched(kind="choice", values=(0, 64)),
        "balanced": Searched(kind="choice", values=(True, False)),
    }
    study = study_of(strategy=strategy, space=space, trials=4)
    running = asked(study)  # at another worker all the while

    found = [running.settings]
    while (proposal := study.ask()) is not None and len(found) < 9:
        found.append(proposal.settings)
        study.complete(proposal.number, 1.0)

    points = {(s.hidden_units, s.balanced) for s in found if s is not None}
    assert points == {(0, True), (0, False), (64, True), (64, False)}
    assert len(found) == 4


def test_a_condition_is_kept_and_its_hyperparameter_left_out() -> None:
    space = {
        "hidden_units": Searched(
            kind="choice", values=(8, 16), when={"solver": ("adam",)}, otherwise=0
        ),
        "solver": Searched(kind="choice", values=("adam", "ridge")),
        "label_smoothing": Searched(kind="float", low=0.0, high=0.2),
    }
    study = study_of(space=space)

    tried = [try_one(study) for _ in range(20)]

    assert {s.hidden_units for s in tried if s.solver == "ridge"} == {0}
    assert {s.hidden_units for s in tried if s.solver == "adam"} == {8, 16}


def test_a_best_choice_that_leaves_nothing_to_choose_does_not_end_the_search() -> None:
    space = {
        "solver": Searched(kind="choice", values=("ridge", "lbfgs", "adam")),
        "learning_rate": dataclasses.replace(RATE, when={"solver": ("adam",)}),
        "label_smoothing": Searched(
            kind="float", low=0.0, high=0.2, when={"solver": ("adam",)}, otherwise=0.0
        ),
    }
    study = study_of(Hyperparameters(hidden_units=0), space=space)

    tried = []
    for _ in range(30):
        proposal = asked(study)
        tried.append(settings_in(proposal))
        study.complete(proposal.number, 0.1 if tried[-1].solver != "adam" else 1.0)

    assert [s.solver for s in tried].count("adam") == 28


@pytest.mark.parametrize(("strategy", "early"), [("bayesian", True), ("hyperband", False)])
def test_a_trial_that_is_worse_than_most_is_stopped(strategy: str, early: bool) -> None:
    study = study_of(Hyperparameters(epochs=9), strategy=strategy, early_stopping=early)
    for _ in range(12):
        good = asked(study).number
        stopped = any(study.is_hopeless(good, epoch, 1.0 - epoch / 10) for epoch in range(1, 10))
        assert not stopped or strategy == "hyperband"
        study.complete(good, 0.1)

    bad = asked(study).number

    assert any(study.is_hopeless(bad, epoch, 5.0) for epoch in range(1, 10))


def test_without_early_stopping_no_trial_is_stopped() -> None:
    study = study_of(early_stopping=False)
    for loss in (*[0.1] * 8, 9.0):
        number = asked(study).number
        assert not any(study.is_hopeless(number, epoch, loss) for epoch in range(1, 11))
        study.complete(number, loss)


def test_settings_that_training_refuses_fail_alone() -> None:
    units = Searched(kind="choice", values=(0, 8))
    solver = Searched(kind="choice", values=("adam", "ridge"))
    study = study_of(strategy="grid", trials=4, space={"solver": solver, "hidden_units": units})

    proposals: list[Proposal] = []
    while (proposal := study.ask()) is not None and len(proposals) < 6:
        proposals.append(proposal)
        if proposal.settings is None:
            study.fail(proposal.number, proposal.fault)
        else:
            study.complete(proposal.number, 1.0)

    faults = [proposal.fault for proposal in proposals if proposal.settings is None]
    assert len(faults) == 1
    assert "solver ridge fits a linear head" in faults[0]


def outcome_in(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "hyperparameters.json"
    path.write_text(json.dumps(content))
    return path


def test_only_searched_values_of_the_file_change_and_the_change_is_told(tmp_path: Path) -> None:
    path = outcome_in(tmp_path, {"epochs": 3, "learning_rate": 0.5, "backbone": "resnet18"})
    chosen = Hyperparameters(learning_rate=0.01, hidden_units=64, epochs=99)

    changes = write_outcome(path, SearchSpace(space=SPACE), chosen)

    assert json.loads(path.read_text()) == {
        "epochs": 3,
        "learning_rate": 0.01,
        "backbone": "resnet18",
        "hidden_units": 64,
    }
    assert changes == {"learning_rate": "0.5 -> 0.01", "hidden_units": "128 -> 64"}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_that_a_person_broke_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = outcome_in(tmp_path, {"epoch": 3})

    with pytest.raises(ContractError, match="unknown key 'epoch'"):
        write_outcome(path, SearchSpace(space=SPACE), Hyperparameters())

    assert json.loads(path.read_text()) == {"epoch": 3}
