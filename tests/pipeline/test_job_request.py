"""What SageMaker is asked for, from the settings and the search space of the repository."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from contract.hyperparameters import Hyperparameters
from contract.metrics import OBJECTIVE, metric_definitions
from contract.release import Artifact
from contract.search_space import read_search_space
from contract.settings import Settings, TrainingJob, read_settings
from contract.stack import Ec2Training, Stack
from contract.strict import ContractError
from pipeline.job_request import job_request, tuning_name, tuning_request
from pipeline.runs import Inputs

REPOSITORY = Path(__file__).parents[2]
DIGEST = "a" * 64
INPUTS = Inputs(
    run_id="20261122-164500-1a2b3c",
    bucket="b",
    code=Artifact(key=f"training/{DIGEST}/training.tar.gz", sha256=DIGEST),
    data_uri="s3://b/data/c/",
    weights="s3://b/weights/d/w.pth",
    hyperparameters=Hyperparameters(epochs=3),
    fingerprint="f",
)
STACK = Stack(
    account_id="1",
    bucket="b",
    ec2_training=Ec2Training(
        instance_id=None, instance_type="t", launch_template_id="l", log_group="g", max_hours=4
    ),
    endpoint=None,
    function=None,
    model_version=None,
    name="kennel",
    notebook_name=None,
    region="eu-west-1",
    serving_image=None,
    stage="aws",
    training_image="763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch:2.13",
    training_job_role_arn="arn:aws:iam::123456789012:role/kennel-training-job",
)
SPACE = read_search_space(REPOSITORY / "config" / "search_space.json", INPUTS.hyperparameters)


def settings(**jobs: Any) -> Settings:
    found = read_settings(REPOSITORY / "config" / "aws.tfvars.json")
    return replace(found, training_job=replace(found.training_job, **jobs))


def complaints(operation: str, request: dict[str, Any]) -> str:
    """What boto3 would say to a request before it is sent."""
    model = Session().get_service_model("sagemaker").operation_model(operation)
    assert model.input_shape is not None
    report: str = ParamValidator().validate(request, model.input_shape).generate_report()
    return report


def test_a_job_is_asked_for_as_awss_toolkit_wants_it() -> None:
    request = job_request(INPUTS, STACK, settings())

    assert complaints("CreateTrainingJob", request) == ""
    assert request["HyperParameters"]["epochs"] == "3"
    assert request["HyperParameters"]["sagemaker_program"] == "train.py"
    assert request["HyperParameters"]["sagemaker_submit_directory"] == (
        f"s3://b/training/{DIGEST}/training.tar.gz"
    )
    assert "sagemaker_torch_distributed_enabled" not in request["HyperParameters"]
    channels = [channel["ChannelName"] for channel in request["InputDataConfig"]]
    assert channels == ["training", "weights"]
    assert request["OutputDataConfig"] == {"S3OutputPath": "s3://b/jobs/"}
    assert request["AlgorithmSpecification"]["MetricDefinitions"] == metric_definitions()
    assert request["AlgorithmSpecification"]["TrainingImage"] == STACK.training_image
    assert "CheckpointConfig" not in request


def test_a_spot_job_keeps_checkpoints_and_waits_as_long_again() -> None:
    request = job_request(INPUTS, STACK, settings(spot=True, max_hours=2))

    assert request["EnableManagedSpotTraining"] is True
    limits = request["StoppingCondition"]
    assert limits == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}
    where = f"s3://b/jobs/{request['TrainingJobName']}/checkpoints/"
    assert request["CheckpointConfig"] == {"LocalPath": "/opt/ml/checkpoints", "S3Uri": where}


@pytest.mark.parametrize(
    "jobs",
    [
        {"instance_count": 2},
        {"instance_type": "ml.g4dn.12xlarge", "image": "pytorch:2.13-cu133-amzn2023-sagemaker"},
    ],
    ids=["several machines", "GPUs"],
)
def test_a_job_of_several_processes_is_started_by_torchrun(jobs: dict[str, Any]) -> None:
    request = job_request(INPUTS, STACK, settings(**jobs))

    assert request["HyperParameters"]["sagemaker_torch_distributed_enabled"] == "true"


def test_a_search_leaves_to_the_tuner_what_it_chooses_and_fixes_the_rest() -> None:
    request = tuning_request(INPUTS, STACK, settings(spot=True), SPACE)

    assert complaints("CreateHyperParameterTuningJob", request) == ""
    config, definition = (
        request["HyperParameterTuningJobConfig"],
        request["TrainingJobDefinition"],
    )
    chosen = {one["Name"] for kind in config["ParameterRanges"].values() for one in kind}
    assert chosen
    assert chosen.isdisjoint(definition["StaticHyperParameters"])
    fixed = definition["StaticHyperParameters"]
    assert {name for name in fixed if not name.startswith("sagemaker_")} | chosen == set(
        Hyperparameters.__dataclass_fields__
    )
    objective = {"Type": "Minimize", "MetricName": OBJECTIVE}
    assert config["HyperParameterTuningJobObjective"] == objective
    assert definition["CheckpointConfig"]["S3Uri"].startswith(
        f"s3://b/jobs/{request['HyperParameterTuningJobName']}/"
    )


def test_a_search_with_the_parents_data_code_and_image_counts_its_trials() -> None:
    parent = tuning_request(INPUTS, STACK, settings(), SPACE)
    other = replace(INPUTS, data_uri="s3://b/data/other/")

    same = tuning_request(INPUTS, STACK, settings(), SPACE, parent)
    moved = tuning_request(other, STACK, settings(), SPACE, parent)

    assert same["WarmStartConfig"]["WarmStartType"] == "IdenticalDataAndAlgorithm"
    assert moved["WarmStartConfig"]["WarmStartType"] == "TransferLearning"
    [named] = same["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
    assert named["HyperParameterTuningJobName"] == parent["HyperParameterTuningJobName"]


def test_a_searchs_name_fits_for_the_longest_name_of_a_stack_and_orders_by_time() -> None:
    early, late = tuning_name("k" * 24, 1_700_000_000), tuning_name("k" * 24, 2_000_000_000)

    assert len(late) <= 32
    assert early < late


@pytest.mark.parametrize(
    ("jobs", "says"),
    [
        ({"instance_type": "ml.g5.xlarge"}, "a type with a GPU"),
        ({"image": "pytorch:2.13-cu133-amzn2023-sagemaker"}, "a type with a GPU"),
        ({"instance_type": "m5.xlarge"}, "must start with 'ml.'"),
        ({"image": "pytorch"}, "repository:tag"),
        ({"instance_count": 0}, "instance_count must be"),
        ({"max_hours": 200}, "max_hours must be"),
        ({"volume_gb": 0}, "volume_gb must be"),
    ],
)
def test_settings_that_no_job_could_have_are_refused(jobs: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        settings(**jobs)


def test_an_image_of_ones_own_goes_with_any_instance_type() -> None:
    own = "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"

    jobs: TrainingJob = settings(image=own, instance_type="ml.g5.xlarge").training_job

    assert jobs.with_gpu
