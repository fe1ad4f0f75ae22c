"""The same search as SageMaker's tuner is asked for it."""

from typing import Any

from contract.hyperparameters import Hyperparameters
from contract.search_space import Searched, SearchSpace

STRATEGIES = {
    "bayesian": "Bayesian",
    "random": "Random",
    "hyperband": "Hyperband",
    "grid": "Grid",
}
SCALES = {"linear": "Linear", "log": "Logarithmic"}


def sagemaker_ranges(space: SearchSpace) -> dict[str, list[dict[str, Any]]]:
    """ParameterRanges of a tuning job.

    SageMaker knows no conditions, so it searches where all of them hold; `sagemaker_static` is
    what that settles.
    """
    ranges: dict[str, list[dict[str, Any]]] = {
        "ContinuousParameterRanges": [],
        "IntegerParameterRanges": [],
        "CategoricalParameterRanges": [],
    }
    for name, searched in space.space.items():
        if searched.kind == "choice":
            values = _reachable(space, name, searched)
            if len(values) > 1:
                texts = [str(value) for value in values]
                ranges["CategoricalParameterRanges"].append({"Name": name, "Values": texts})
            continue
        low, high = searched.ends
        kind = "Continuous" if searched.kind == "float" else "Integer"
        ranges[f"{kind}ParameterRanges"].append(
            {
                "Name": name,
                "MinValue": str(low),
                "MaxValue": str(high),
                "ScalingType": SCALES[searched.scale],
            }
        )
    return ranges


def sagemaker_static(space: SearchSpace) -> dict[str, str]:
    """Hyperparameters that the space's conditions settle on SageMaker, as text."""
    return {
        name: str(values[0])
        for name, searched in space.space.items()
        if searched.kind == "choice" and len(values := _reachable(space, name, searched)) == 1
    }


def sagemaker_names(space: SearchSpace) -> set[str]:
    """Hyperparameters that SageMaker's tuner chooses; a job's static ones must not name them."""
    return {found["Name"] for kind in sagemaker_ranges(space).values() for found in kind}


def sagemaker_config(space: SearchSpace, base: Hyperparameters) -> dict[str, Any]:
    """HyperParameterTuningJobConfig of a tuning job.

    Args:
        space: the search.
        base: its epochs are what hyperband shares out.
    """
    config: dict[str, Any] = {
        "Strategy": STRATEGIES[space.strategy],
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": space.minimize},
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": space.trials,
            "MaxParallelTrainingJobs": space.parallel_trials,
        },
        "ParameterRanges": sagemaker_ranges(space),
        "TrainingJobEarlyStoppingType": "Off",
        "RandomSeed": space.seed,
    }
    if space.strategy == "hyperband":  # stops trials by its own rule
        config["StrategyConfig"] = {
            "HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": base.epochs}
        }
    elif space.early_stopping:
        config["TrainingJobEarlyStoppingType"] = "Auto"
    return config


def _reachable(space: SearchSpace, name: str, searched: Searched) -> list[Any]:
    """The values of a choice with which every condition of the space holds."""
    conditions = [other.when[name] for other in space.space.values() if name in other.when]
    return [value for value in searched.values if all(value in allowed for allowed in conditions)]
