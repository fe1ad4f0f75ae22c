"""Serverless endpoints: copies of the model come with the requests and go when idle."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.localaws.starting import start_local_aws
from tests.localaws.test_hosting import Stage, runs, until
from tests.localaws.test_scaling import Aws

from localaws import control

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """In a local AWS whose idle copies end at once."""
    with (
        tempfile.TemporaryDirectory(prefix="localaws-") as parent,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("LOCALAWS_SCALING_INTERVAL_SECONDS", "0.3")
        patch.setenv("LOCALAWS_SERVERLESS_IDLE_SECONDS", "0")
        folder = Path(parent) / "local"
        try:
            yield Stage(Aws(start_local_aws(folder)))
        finally:
            control.down(folder)


def serverless(stage: Stage, version: str, kept: int, most: int, **more: Any) -> str:
    model = stage.config(version)
    name = f"{model}-serverless"
    limits = {"MemorySizeInMB": 1024, "MaxConcurrency": most, "ProvisionedConcurrency": kept}
    stage.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "live", "ModelName": model, "ServerlessConfig": limits}
        ],
        **more,
    )
    return name


@pytest.fixture(scope="module")
def endpoint(stage: Stage) -> str:
    name = stage.create(serverless(stage, "v1", kept=1, most=2))
    assert stage.settled(name)["EndpointStatus"] == "InService"
    return name


def test_copies_are_started_by_requests_up_to_the_limit_and_end_when_idle(
    stage: Stage, endpoint: str, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(stage.ask, endpoint, f"wait {tmp_path}") for _ in range(2)]
        both = until(lambda: len(list(tmp_path.glob("started-*"))) == 2)
        with pytest.raises(stage.runtime.exceptions.ClientError, match="MaxConcurrency is 2"):
            stage.ask(endpoint)
        (tmp_path / "go").touch()
        pids = {future.result()["pid"] for future in waiting}

    assert both
    assert len(pids) == 2
    assert until(lambda: sum(runs(pid) for pid in pids) == 1)
    assert stage.ask(endpoint)["version"] == "v1"


def test_its_description_has_limits_in_place_of_instances(stage: Stage, endpoint: str) -> None:
    [variant] = stage.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]

    assert variant["CurrentServerlessConfig"]["MaxConcurrency"] == 2
    assert "DesiredInstanceCount" not in variant


def test_another_model_takes_over_at_once(stage: Stage, endpoint: str) -> None:
    config = serverless(stage, "v2", kept=1, most=2)

    stage.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)

    assert stage.settled(endpoint)["EndpointConfigName"] == config
    assert stage.ask(endpoint)["version"] == "v2"


def test_a_larger_request_than_four_megabytes_is_refused(stage: Stage, endpoint: str) -> None:
    with pytest.raises(stage.runtime.exceptions.ValidationError, match="4194304"):
        stage.ask(endpoint, "x" * (4 * 1024 * 1024 + 1))


def test_instances_cannot_become_serverless(stage: Stage) -> None:
    name = stage.create(stage.config("v1"))
    stage.settled(name)

    with pytest.raises(stage.sagemaker.exceptions.ClientError, match="cannot be converted"):
        stage.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=serverless(stage, "v1", kept=1, most=2)
        )


def test_data_capture_is_refused(stage: Stage) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 1,
        "DestinationS3Uri": f"s3://{stage.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }

    with pytest.raises(stage.sagemaker.exceptions.ClientError, match="do not support data capture"):
        serverless(stage, "v1", kept=1, most=2, DataCaptureConfig=capture)
