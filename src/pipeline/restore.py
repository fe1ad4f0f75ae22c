"""Repairs Terraform's state after an endpoint update that SageMaker rolled back.

The new model and configuration exist then and are what the state calls current; those that still
serve are `deposed`, which is to say that the next apply removes them, and that an apply of the
release that serves would make them a second time and fail. So the two change places. What was
refused is removed: nothing uses it, and another try of it would make it a second time and fail.
"""

import copy
from typing import Any

from botocore.exceptions import ClientError

from pipeline.aws import Account, error_code, pages

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


def take_refused(state: dict[str, Any], serving: set[str]) -> set[tuple[str, str]]:
    """Take out of a repaired state what does not serve and was to be removed.

    Returns:
        Type and name of each.
    """
    refused = set()
    for resource in state["resources"]:
        if resource["type"] in KINDS:
            kept = []
            for instance in resource["instances"]:
                name = instance["attributes"]["name"]
                if "deposed" in instance and name not in serving:
                    refused.add((resource["type"], name))
                else:
                    kept.append(instance)
            resource["instances"] = kept
    return refused


def remove_refused(account: Account, refused: set[tuple[str, str]]) -> None:
    """Delete configurations, then models, that nothing uses."""
    sagemaker = account.client("sagemaker")
    for kind, name in sorted(refused):
        try:
            if kind == "aws_sagemaker_endpoint_configuration":
                sagemaker.delete_endpoint_config(EndpointConfigName=name)
            else:
                sagemaker.delete_model(ModelName=name)
        except ClientError as error:
            if error_code(error) != "ValidationException":
                raise


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
