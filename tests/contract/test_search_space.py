"""The search space: read strictly, refused early, and the same for both tuners."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from contract.hyperparameters import Hyperparameters, read_hyperparameters
from contract.sagemaker_search import (
    sagemaker_config,
    sagemaker_names,
    sagemaker_ranges,
    sagemaker_static,
)
from contract.search_space import SearchSpace, read_search_space, settings_of
from contract.strict import ContractError

CONFIG = Path(__file__).parents[2] / "config"
RATE = {"kind": "float", "low": 0.001, "high": 0.1, "scale": "log"}


def read(folder: Path, space: dict[str, Any], **others: Any) -> SearchSpace:
    path = folder / "search_space.json"
    path.write_text(json.dumps({"space": space, **others}))
    return read_search_space(path, Hyperparameters())


def test_the_committed_space_fits_the_committed_hyperparameters() -> None:
    base = read_hyperparameters(CONFIG / "hyperparameters.json")

    space = read_search_space(CONFIG / "search_space.json", base)

    assert {"solver", "learning_rate", "batch_size"} <= set(space.space)


def test_the_documented_space_is_one(tmp_path: Path) -> None:
    text = (CONFIG.parent / "docs" / "training.md").read_text()
    (block,) = [b for b in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if '"space"' in b]

    space = read(tmp_path, **json.loads(block))

    assert sagemaker_static(space) == {"solver": "adam"}


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({}, "1 to 30 hyperparameters"),
        ({"rate": RATE}, "'rate', which is no hyperparameter"),
        ({"seed": {"kind": "int", "low": 1, "high": 9}}, "finds luck"),
        ({"learning_rate": {**RATE, "hihg": 1}}, "unknown key 'hihg'; did you mean 'high'"),
        ({"learning_rate": {**RATE, "low": 0.0}}, "log scale it must be above 0"),
        ({"learning_rate": {**RATE, "low": 0.2}}, "low below high; they are 0.2 and 0.1"),
        ({"learning_rate": {"kind": "float", "low": 0.1}}, "wants low and high"),
        ({"learning_rate": {**RATE, "high": 11}}, "learning_rate must be above 0 and at most 10"),
        ({"learning_rate": {**RATE, "values": [1]}}, "has low and high, no values"),
        ({"epochs": {"kind": "float", "low": 1, "high": 9}}, "whole number: make it an int"),
        ({"epochs": {"kind": "int", "low": 1.5, "high": 9}}, "must be whole numbers"),
        ({"balanced": {"kind": "int", "low": 0, "high": 1}}, "it is bool: make it a choice"),
        ({"method": {"kind": "float", "low": 0, "high": 1}}, "head or finetune: make it a choice"),
        ({"balanced": {"kind": "choice", "values": ["yes", "no"]}}, "must be true or false"),
        ({"method": {"kind": "choice", "values": ["head", "feet"]}}, "'feet'; it must be one of"),
        ({"batch_size": {"kind": "choice", "values": [32, 64.5]}}, "must be a whole number"),
        ({"batch_size": {"kind": "choice", "values": [32, 32]}}, "2 to 30 different values"),
        ({"batch_size": {"kind": "choice", "values": [32, 64], "low": 1}}, "no low and high"),
        ({"solver": {"kind": "choice", "values": ["adam", "ridge"]}}, "fits a linear head"),
        ({"warmup_epochs": {"kind": "float", "low": 0, "high": 20}}, "warmup_epochs must be 0 to"),
        ({"learning_rate": {**RATE, "otherwise": 1.0}}, "has otherwise without when"),
        ({"learning_rate": {**RATE, "when": {"solver": ["adam"]}}}, "must be a choice of this"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_refused_by_a_sentence(
    space: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match=r"search_space\.json") as raised:
        read(tmp_path, space)

    assert says in str(raised.value)


def test_two_values_that_training_refuses_together_are_refused_before_the_search(
    tmp_path: Path,
) -> None:
    space = {
        "epochs": {"kind": "int", "low": 2, "high": 9},
        "warmup_epochs": {"kind": "float", "low": 0, "high": 3},
    }

    with pytest.raises(ContractError, match="warmup_epochs must be 0 to epochs"):
        read(tmp_path, space)


def test_a_condition_makes_a_choice_that_excludes_others_searchable(tmp_path: Path) -> None:
    solver = {"kind": "choice", "values": ["adam", "ridge"]}
    units = {"kind": "choice", "values": [8, 16], "when": {"solver": ["adam"]}, "otherwise": 0}

    space = read(tmp_path, {"solver": solver, "hidden_units": units})

    base = Hyperparameters()
    assert settings_of(space, {"solver": "ridge"}, base).hidden_units == 0
    assert settings_of(space, {"solver": "adam", "hidden_units": 16}, base).hidden_units == 16


def test_a_grid_says_how_many_trials_it_has(tmp_path: Path) -> None:
    space = {
        "batch_size": {"kind": "choice", "values": [32, 64, 128]},
        "balanced": {"kind": "choice", "values": [True, False]},
    }

    with pytest.raises(ContractError, match="6 combinations: set trials to 6"):
        read(tmp_path, space, strategy="grid")
    assert read(tmp_path, space, strategy="grid", trials=6).trials == 6
    with pytest.raises(ContractError, match="learning_rate must be a choice"):
        read(tmp_path, {"learning_rate": RATE}, strategy="grid")


def test_sagemaker_gets_each_range_with_its_scale_and_choices_as_text(tmp_path: Path) -> None:
    space = read(
        tmp_path,
        {
            "learning_rate": RATE,
            "clip_norm": {"kind": "float", "low": 0, "high": 1},
            "batch_size": {"kind": "int", "low": 8, "high": 64, "scale": "log"},
            "balanced": {"kind": "choice", "values": [True, False]},
            "hidden_units": {"kind": "choice", "values": [0, 64]},
        },
    )

    assert sagemaker_ranges(space) == {
        "ContinuousParameterRanges": [
            {
                "Name": "learning_rate",
                "MinValue": "0.001",
                "MaxValue": "0.1",
                "ScalingType": "Logarithmic",
            },
            {"Name": "clip_norm", "MinValue": "0.0", "MaxValue": "1.0", "ScalingType": "Linear"},
        ],
        "IntegerParameterRanges": [
            {"Name": "batch_size", "MinValue": "8", "MaxValue": "64", "ScalingType": "Logarithmic"}
        ],
        "CategoricalParameterRanges": [
            {"Name": "balanced", "Values": ["True", "False"]},
            {"Name": "hidden_units", "Values": ["0", "64"]},
        ],
    }


def test_sagemaker_searches_where_all_conditions_hold() -> None:
    base = read_hyperparameters(CONFIG / "hyperparameters.json")
    space = read_search_space(CONFIG / "search_space.json", base)

    assert sagemaker_static(space) == {"solver": "adam"}
    assert sagemaker_names(space) == set(space.space) - {"solver"}


@pytest.mark.parametrize(
    ("strategy", "early_stopping", "stopping"),
    [("bayesian", True, "Auto"), ("random", False, "Off"), ("hyperband", True, "Off")],
)
def test_sagemaker_is_told_strategy_limits_and_objective(
    strategy: Any, early_stopping: bool, stopping: str, tmp_path: Path
) -> None:
    found = read(tmp_path, {"learning_rate": RATE})
    space = dataclasses.replace(found, strategy=strategy, early_stopping=early_stopping)

    config = sagemaker_config(space, Hyperparameters(epochs=9))

    assert config["Strategy"] == strategy.capitalize()
    assert config["HyperParameterTuningJobObjective"] == {
        "Type": "Minimize",
        "MetricName": "best_valid_loss",
    }
    assert config["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 20,
        "MaxParallelTrainingJobs": 2,
    }
    assert config["TrainingJobEarlyStoppingType"] == stopping
    assert ("StrategyConfig" in config) == (strategy == "hyperband")
