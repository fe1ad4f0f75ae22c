"""How many instances a stage's endpoint has, changed by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.decided import until
from tests.e2e.stage import Stage


@contextmanager
def without_autoscaling(stage: Stage) -> Iterator[None]:
    """Suspend autoscaling for a while: on an idle endpoint it takes every second instance away."""
    _suspend(stage, True)
    try:
        yield
    finally:
        _suspend(stage, False)


def resize(stage: Stage, instances: int) -> int:
    """Give the endpoint so many instances; returns how many are healthy once it is settled."""
    endpoint = stage.stack.endpoint
    assert endpoint is not None
    stage.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=endpoint.name,
        DesiredWeightsAndCapacities=[
            {"VariantName": endpoint.variant, "DesiredInstanceCount": instances}
        ],
    )
    return int(settled(stage)["ProductionVariants"][0]["CurrentInstanceCount"])


def settled(stage: Stage) -> dict[str, Any]:
    """The endpoint, once it is in service."""
    sagemaker = stage.client("sagemaker")

    def found() -> dict[str, Any] | None:
        one: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=stage.stack.name)
        return one if one["EndpointStatus"] == "InService" else None

    served = until(found)
    assert served, sagemaker.describe_endpoint(EndpointName=stage.stack.name)
    return dict(served)


def _suspend(stage: Stage, off: bool) -> None:
    endpoint = stage.stack.endpoint
    assert endpoint is not None
    stage.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"endpoint/{endpoint.name}/variant/{endpoint.variant}",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        SuspendedState={"DynamicScalingInSuspended": off, "DynamicScalingOutSuspended": off},
    )
