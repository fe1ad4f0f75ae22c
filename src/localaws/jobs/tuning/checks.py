"""Refuses tuning jobs that SageMaker refuses, in its words where they are known."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from localaws.core import AwsError
from localaws.jobs.tuning.ranges import combinations, space_of
from localaws.jobs.tuning.record import Tuning
from localaws.jobs.tuning.stopping import MOST_RESOURCE, resources_of

MOST_PARALLEL = 10
MOST_JOBS = 750
"""What accounts have until they ask for more."""
OBJECTIVE = "_tuning_objective_metric"
_WHOLE = re.compile(r"[+-]?\d+")


def check(params: Mapping[str, Any]) -> None:
    """Check what the service model does not say.

    Raises:
        AwsError: the tuning job cannot be run.
    """
    config = params["HyperParameterTuningJobConfig"]
    for member, holder in (
        ("TrainingJobDefinitions", params),
        ("Autotune", params),
        ("AutoParameters", config.get("ParameterRanges") or {}),
    ):
        require(not holder.get(member), f"localaws does not imitate {member}.")
    require("TrainingJobDefinition" in params, "TrainingJobDefinition is required.")
    definition = params["TrainingJobDefinition"]
    for member in ("HyperParameterTuningResourceConfig", "HyperParameterRanges"):
        require(
            member not in definition, f"localaws does not imitate TrainingJobDefinition.{member}."
        )
    _check_objective(config, definition)
    _check_ranges(config, definition)
    _check_strategy(config, definition)
    _check_limits(config)


def check_parents(params: Mapping[str, Any], parents: Sequence[Tuning]) -> None:
    """Check what a warm start asks of its parents.

    Raises:
        AwsError: they do not fit.
    """
    kind = params["WarmStartConfig"]["WarmStartType"]
    definition, names = params["TrainingJobDefinition"], _names(params)
    objective = _objective(params["HyperParameterTuningJobConfig"], definition)
    for parent in parents:
        require(
            parent.status in ("Completed", "Failed", "Stopped"),
            f"The parent tuning job {parent.name} is in status {parent.status}. Parents of a warm "
            "start must have ended.",
        )
        require(
            dict(parent.objective) == dict(objective or {}),
            "The objective metric of a warm start must be that of its parents; the one of "
            f"{parent.name} is {parent.objective['MetricName']} ({parent.objective['Type']}).",
        )
        if kind == "TransferLearning":
            continue
        require(
            names == _names(parent.params),
            "The set of tunable plus static HyperParameter names is not the same across current "
            "and parent tuning jobs. Please ensure this set is constant when warm starting. Note "
            "that previously static HyperParameters can be tuned in warm start jobs and vice "
            "versa.",
        )
        for member in ("AlgorithmSpecification", "InputDataConfig"):
            require(
                definition.get(member) == parent.definition.get(member),
                f"{member} is not that of the parent tuning job {parent.name}; the warm start type "
                "IdenticalDataAndAlgorithm needs the same data and algorithm. TransferLearning "
                "lets both change.",
            )


def require(holds: bool, message: str) -> None:
    """Refuse a request unless something holds.

    Raises:
        AwsError: it does not.
    """
    if not holds:
        raise AwsError("ValidationException", message)


def _objective(config: Mapping[str, Any], definition: Mapping[str, Any]) -> Any:
    return config.get("HyperParameterTuningJobObjective") or definition.get("TuningObjective")


def _check_objective(config: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    objective = _objective(config, definition)
    require(objective is not None, "HyperParameterTuningJobObjective is required.")
    metrics = definition["AlgorithmSpecification"].get("MetricDefinitions") or ()
    require(
        objective["MetricName"] in {metric["Name"] for metric in metrics},
        "A metric is required for this hyperparameter tuning job objective. Provide a metric in "
        "the metric definitions.",
    )
    convergence = (config.get("TuningJobCompletionCriteria") or {}).get("ConvergenceDetected") or {}
    require(
        convergence.get("CompleteOnConvergence") != "Enabled",
        "localaws does not imitate CompleteOnConvergence.",
    )


def _check_ranges(config: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    ranges = config.get("ParameterRanges") or {}
    every = [one for kind in ranges.values() for one in kind]
    names = [one["Name"] for one in every]
    require(bool(names), "At least one hyperparameter range is required.")
    for name in names:
        require(names.count(name) == 1, f"The hyperparameter {name} has more than one range.")
        require(
            name not in (definition.get("StaticHyperParameters") or {}),
            f"The hyperparameter {name} is both tunable and static.",
        )
    for one in ranges.get("IntegerParameterRanges") or ():
        for member in ("MinValue", "MaxValue"):
            text = one[member]
            require(
                _WHOLE.fullmatch(text) is not None,
                f"{member} of the hyperparameter {one['Name']} is {text!r}; it must be an integer.",
            )
        require(
            one.get("ScalingType") != "ReverseLogarithmic",
            f"The hyperparameter {one['Name']} is an integer; ReverseLogarithmic is for continuous "
            "ranges.",
        )
        _check_ends(one)
    for one in ranges.get("ContinuousParameterRanges") or ():
        for member in ("MinValue", "MaxValue"):
            require(
                _is_number(one[member]),
                f"{member} of the hyperparameter {one['Name']} is {one[member]!r}; it must be a "
                "number.",
            )
        _check_ends(one)


def _check_ends(one: Mapping[str, Any]) -> None:
    name, low, high = one["Name"], float(one["MinValue"]), float(one["MaxValue"])
    scale = one.get("ScalingType")
    require(
        low <= high,
        f"MinValue of the hyperparameter {name} is {one['MinValue']}, greater than its MaxValue "
        f"{one['MaxValue']}.",
    )
    require(
        scale != "Logarithmic" or low > 0,
        f"The hyperparameter {name} is searched on a Logarithmic scale; its range must be greater "
        "than 0.",
    )
    require(
        scale != "ReverseLogarithmic" or (low >= 0 and high < 1),
        f"The hyperparameter {name} is searched on a ReverseLogarithmic scale; its range must lie "
        "within 0 <= x < 1.",
    )


def _check_strategy(config: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    strategy, ranges = config["Strategy"], config.get("ParameterRanges") or {}
    most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    choices = combinations(space_of(ranges))
    if strategy == "Grid":
        numeric = ranges.get("IntegerParameterRanges") or ranges.get("ContinuousParameterRanges")
        require(not numeric, "The Grid strategy takes categorical hyperparameters only.")
        require(
            most in (None, choices),
            f"MaxNumberOfTrainingJobs is {most}; with the Grid strategy it must be left out, or be "
            f"the number of combinations, {choices:.0f}.",
        )
        return
    require(most is not None, "MaxNumberOfTrainingJobs is required.")
    require(
        choices >= most,
        "You don't have enough combinations of hyperparameter ranges. The total number of "
        f"hyperparameter combinations for the provided ranges [{float(choices)}] must be equal or "
        f"greater than the value of MaxNumberOfJobs, [{most}]. Provide additional ranges.",
    )
    if strategy != "Hyperband":
        return
    require(
        config.get("TrainingJobEarlyStoppingType", "Off") == "Off",
        "TrainingJobEarlyStoppingType must be Off with the Hyperband strategy, which stops jobs by "
        "itself.",
    )
    resources = resources_of(config, definition.get("StaticHyperParameters") or {})
    require(
        resources is not None,
        "MaxResource is required with the Hyperband strategy, unless a static hyperparameter says "
        "it: epochs, numepochs, n-epochs, n_epochs or num_epochs.",
    )
    least, highest = resources or (1, 1)
    require(
        least <= highest <= MOST_RESOURCE,
        f"MinResource is {least} and MaxResource {highest}; they must be in order, and at most "
        f"{MOST_RESOURCE}.",
    )


def _check_limits(config: Mapping[str, Any]) -> None:
    limits = config["ResourceLimits"]
    for member, most, what in (
        ("MaxParallelTrainingJobs", MOST_PARALLEL, "parallel training jobs"),
        ("MaxNumberOfTrainingJobs", MOST_JOBS, "training jobs"),
    ):
        asked = limits.get(member) or 0
        if asked > most:
            raise AwsError(
                "ResourceLimitExceeded",
                f"The account-level service limit 'Maximum number of {what} per hyperparameter "
                f"tuning job' is {most} Jobs, with current utilization of 0 Jobs and a request "
                f"delta of {asked} Jobs. Please contact AWS support to request an increase for "
                "this limit.",
            )


def _names(params: Mapping[str, Any]) -> set[str]:
    ranges = params["HyperParameterTuningJobConfig"].get("ParameterRanges") or {}
    static = params["TrainingJobDefinition"].get("StaticHyperParameters") or {}
    tuned = {one["Name"] for kind in ranges.values() for one in kind}
    return (tuned | static.keys()) - {OBJECTIVE}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
