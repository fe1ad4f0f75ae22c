"""Repairs Terraform's state after an endpoint update that SageMaker rolled back.

The new model and configuration exist then and are what the state calls current; those that still
serve are `deposed`, which is to say that the next apply removes them, and that an apply of the
release that serves would make them a second time and fail. So the two change places.
"""

import copy
from typing import Any

from pipeline.aws import Account, pages

KINDS = ("aws_sagemaker_endpoint_configuration", "aws_sagemaker_model")


def serving_names(account: Account, endpoint: str) -> set[str]:
    """Names of the configuration and the models that an endpoint serves with."""
    sagemaker = account.client("sagemaker")
    if endpoint not in {
        found["EndpointName"]
        for found in pages(sagemaker, "list_endpoints", "Endpoints", NameContains=endpoint)
    }:
        return set()
    name = sagemaker.describe_endpoint(EndpointName=endpoint).get("EndpointConfigName")
    if name is None:
        return set()
    config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    return {name, *(variant["ModelName"] for variant in config["ProductionVariants"])}


def restored(state: dict[str, Any], serving: set[str]) -> dict[str, Any] | None:
    """The state with what serves as current and what replaced it as deposed.

    Args:
        state: as `terraform state pull` gives it.
        serving: names of configuration and models.

    Returns:
        The repaired state; `None` when it needs no repair.
    """
    repaired = copy.deepcopy(state)
    swapped = False
    for resource in repaired["resources"]:
        if resource["type"] in KINDS:
            swapped |= _swap(resource["instances"], serving)
    repaired["serial"] += 1
    return repaired if swapped else None


def _swap(instances: list[dict[str, Any]], serving: set[str]) -> bool:
    """Exchange a deposed instance that serves with the current one."""
    for deposed in instances:
        if "deposed" in deposed and deposed["attributes"]["name"] in serving:
            key = deposed.pop("deposed")
            for other in instances:
                if other is not deposed and "deposed" not in other:
                    other["deposed"] = key
            return True
    return False
