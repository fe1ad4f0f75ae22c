"""Requests that the SDK made in the notebook, beside those that the verbs would have made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.notebook import Ran
from tests.e2e.stage import Stage

from contract.hyperparameters import read_hyperparameters
from contract.search_space import read_search_space
from contract.settings import read_settings
from pipeline.job_request import job_request, tuning_request
from pipeline.package import package_training
from pipeline.runs import Inputs

SDKS_OWN_OF_A_JOB = {
    # It spells out what AWS takes when nothing is said.
    "InputDataConfig.training.InputMode": ("File", None),
    "OutputDataConfig.CompressionType": ("GZIP", None),
}
"""By path: what the SDK sends, and the verb; the same to AWS."""
RANGES = "HyperParameterTuningJobConfig.ParameterRanges"
SDKS_OWN_OF_A_SEARCH = {
    # It leaves out kinds of ranges that are empty, and spot where it is not wanted.
    f"{RANGES}.CategoricalParameterRanges": (None, []),
    f"{RANGES}.IntegerParameterRanges": (None, []),
    "TrainingJobDefinition.EnableManagedSpotTraining": (None, False),
    "TrainingJobDefinition.OutputDataConfig.CompressionType": ("GZIP", None),
    # SageMaker adds the objective by itself.
    "TrainingJobDefinition.StaticHyperParameters._tuning_objective_metric": (
        "best_valid_loss",
        None,
    ),
}
"""By path: what the SDK sends, and the verb; the same to AWS."""
NAMES = ("TrainingJobName", "HyperParameterTuningJobName", "Tags")
"""Names carry the time; the settings have no tags."""


def differences(stage: Stage, ran: Ran) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Where the two ways differ: path to (SDK, verb), for a job and for a search.

    The local AWS describes a job by what it was asked for, word by word.
    """
    sagemaker = stage.client("sagemaker")
    alone = sagemaker.describe_training_job(TrainingJobName=ran.jobs[-1])
    search = ran.jobs[0].rsplit("-", 2)[0]
    tuning = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=search)
    base = read_hyperparameters(ran.folder / "config" / "hyperparameters.json")
    space = read_search_space(ran.folder / "config" / "search_space.json", base)
    settings = read_settings(ran.folder / "config" / "settings.tfvars.json")
    uri = alone["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    inputs = Inputs(
        run_id="1",
        bucket=stage.stack.bucket,
        code=package_training(Path(), stage.build),
        data_uri=uri,
        weights="auto",
        hyperparameters=base,
        fingerprint="1",
    )
    job = job_request(inputs, stage.stack, settings)
    decay = {"weight_decay": alone["HyperParameters"]["weight_decay"]}  # of the best trial
    job["HyperParameters"] |= decay
    searched = tuning_request(inputs, stage.stack, settings, space)
    return {
        "training job": compare(alone, job),
        "search": compare(tuning, searched),
    }


def compare(asked: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Paths where two requests differ, of what either says."""
    left, right = flat(asked), flat(ours)
    known = {path.partition(".")[0] for path in right} | ASKED
    return {
        path: (left.get(path), right.get(path))
        for path in sorted(left.keys() | right.keys())
        if path.partition(".")[0] in known - set(NAMES) and left.get(path) != right.get(path)
    }


ASKED = {"CheckpointConfig", "EnableNetworkIsolation", "Environment", "RetryStrategy", "VpcConfig"}
"""What a description repeats of a request, besides what the verbs ask for."""


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf by its path; lists of named things by their names."""
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        items = {
            str(one.get("Name") or one.get("ChannelName") or place): one
            for place, one in enumerate(value)
        }.items()
    else:
        return {path: value}
    found: dict[str, Any] = {}
    for name, inner in items:
        found |= flat(inner, f"{path}.{name}" if path else str(name))
    return found
