"""What SageMaker is asked for: one training job, or a search that starts many of them."""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from contract.hyperparameters import Hyperparameters
from contract.metrics import metric_definitions
from contract.sagemaker_search import sagemaker_config, sagemaker_names, sagemaker_static
from contract.search_space import SearchSpace
from contract.settings import Settings, TrainingJob
from contract.stack import Stack
from pipeline.runs import NAMED_WEIGHTS, Inputs

CHECKPOINTS = "/opt/ml/checkpoints"
"""What SageMaker keeps in S3 while a job runs; training writes below it, by the job's name."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def job_request(inputs: Inputs, stack: Stack, settings: Settings) -> dict[str, Any]:
    """What CreateTrainingJob is given, as AWS's training toolkit wants it."""
    name = f"{stack.name}-{inputs.run_id}"
    return {
        "TrainingJobName": name,
        "HyperParameters": script_settings(inputs) | own_settings(inputs, stack, settings),
        **_machinery(inputs, stack, settings, name),
        "Tags": tags(settings),
    }


def tuning_request(
    inputs: Inputs,
    stack: Stack,
    settings: Settings,
    space: SearchSpace,
    parent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What CreateHyperParameterTuningJob is given.

    Args:
        inputs: what every trial starts from.
        stack: where.
        settings: on which machines.
        space: what is searched.
        parent: description of an earlier search to begin from.
    """
    name = tuning_name(stack.name, time.time())
    fixed = script_settings(inputs) | sagemaker_static(space)
    searched = sagemaker_names(space)
    definition = {
        "StaticHyperParameters": {k: v for k, v in fixed.items() if k not in searched}
        | own_settings(inputs, stack, settings),
        **_machinery(inputs, stack, settings, name),
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": sagemaker_config(space, inputs.hyperparameters),
        "TrainingJobDefinition": definition,
        **({} if parent is None else {"WarmStartConfig": warm_start(parent, definition)}),
        "Tags": tags(settings),
    }


def tuning_name(name: str, now: float) -> str:
    """A search's name, which may have 32 characters only: the stack's and the time in base 36.

    Args:
        name: of the stack, up to 24 characters.
        now: seconds since 1970.
    """
    rest, digits = int(now), ""
    while rest:
        rest, digit = divmod(rest, 36)
        digits = DIGITS[digit] + digits
    return f"{name}-{digits}"


def warm_start(parent: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """WarmStartConfig: with the same data, code and image the parent's trials count as trials."""
    before = parent["TrainingJobDefinition"]
    code = "sagemaker_submit_directory"
    same = (
        before["AlgorithmSpecification"].get("TrainingImage")
        == definition["AlgorithmSpecification"]["TrainingImage"]
        and before["StaticHyperParameters"].get(code) == definition["StaticHyperParameters"][code]
        and uris(before) == uris(definition)
    )
    parents = [{"HyperParameterTuningJobName": parent["HyperParameterTuningJobName"]}]
    return {
        "ParentHyperParameterTuningJobs": parents,
        "WarmStartType": "IdenticalDataAndAlgorithm" if same else "TransferLearning",
    }


def uris(definition: Mapping[str, Any]) -> dict[str, str]:
    """Where each channel's data lies."""
    return {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in definition["InputDataConfig"]
    }


def script_settings(inputs: Inputs) -> dict[str, str]:
    """What the training script is told, all of it as text."""
    return as_text(inputs.hyperparameters) | (
        {"weights": inputs.weights} if inputs.weights in NAMED_WEIGHTS else {}
    )


def own_settings(inputs: Inputs, stack: Stack, settings: Settings) -> dict[str, str]:
    """What AWS's training toolkit is told: which script of which archive, and how to start it."""
    told = {
        "sagemaker_program": "train.py",
        "sagemaker_region": stack.region,
        "sagemaker_submit_directory": f"s3://{inputs.bucket}/{inputs.code.key}",
    }
    if needs_torchrun(settings.training_job):
        told["sagemaker_torch_distributed_enabled"] = "true"
    return told


def needs_torchrun(jobs: TrainingJob) -> bool:
    """Whether a job may have more than one process: on several machines, or GPUs."""
    return jobs.instance_count > 1 or jobs.with_gpu


def as_text(hyperparameters: Hyperparameters) -> dict[str, str]:
    """Hyperparameters as SageMaker takes them."""
    return {name: str(value) for name, value in dataclasses.asdict(hyperparameters).items()}


def tags(settings: Settings) -> list[dict[str, str]]:
    """The settings' tags as SageMaker takes them."""
    return [{"Key": key, "Value": value} for key, value in settings.tags.items()]


def _machinery(inputs: Inputs, stack: Stack, settings: Settings, name: str) -> dict[str, Any]:
    """What a training job and a search's trials have in common."""
    jobs = settings.training_job
    seconds = 3600 * jobs.max_hours
    output = {"S3OutputPath": f"s3://{stack.bucket}/jobs/"}
    if settings.storage.kms_key_arn is not None:
        # Without it SageMaker would encrypt with a key of AWS, whatever the bucket's own key is.
        output["KmsKeyId"] = settings.storage.kms_key_arn
    found: dict[str, Any] = {
        "AlgorithmSpecification": {
            "TrainingImage": stack.training_image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metric_definitions(),
        },
        "RoleArn": stack.training_job_role_arn,
        "InputDataConfig": _channels(inputs),
        "OutputDataConfig": output,
        "ResourceConfig": {
            "InstanceType": jobs.instance_type,
            "InstanceCount": jobs.instance_count,
            "VolumeSizeInGB": jobs.volume_gb,
        },
        "EnableManagedSpotTraining": jobs.spot,
        "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
    }
    if jobs.spot:
        # As long again to wait for capacity, at first and after each interruption.
        found["StoppingCondition"]["MaxWaitTimeInSeconds"] = 2 * seconds
        found["CheckpointConfig"] = {
            "S3Uri": f"s3://{stack.bucket}/jobs/{name}/checkpoints/",
            "LocalPath": CHECKPOINTS,
        }
    return found


def _channels(inputs: Inputs) -> list[dict[str, Any]]:
    channels = {"training": inputs.data_uri}
    if inputs.weights not in NAMED_WEIGHTS:
        channels["weights"] = inputs.weights
    return [
        {
            "ChannelName": name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3DataDistributionType": "FullyReplicated",
                    "S3Uri": uri,
                }
            },
        }
        for name, uri in channels.items()
    ]
