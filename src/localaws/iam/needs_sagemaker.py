"""What calls of SageMaker need."""

from collections.abc import Mapping
from typing import Any

from localaws.core import Call
from localaws.iam.matching import as_list
from localaws.iam.needs import Known, Need, Values, action_of, arn, request_tags, tag_context

_NAMES = {
    "EndpointConfigName": "endpoint-config",
    "EndpointName": "endpoint",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "InferenceComponentName": "inference-component",
    "ModelName": "model",
    "NotebookInstanceLifecycleConfigName": "notebook-instance-lifecycle-config",
    "NotebookInstanceName": "notebook-instance",
    "ProcessingJobName": "processing-job",
    "TrainingJobName": "training-job",
    "TransformJobName": "transform-job",
}
# Operations that name more than they act on.
_OWN = {
    "CreateTransformJob": ("TransformJobName",),
    "DescribeEndpoint": ("EndpointName",),
}


def sagemaker(call: Call, known: Known) -> list[Need]:
    """The action of a call on what it names.

    A tuning job needs no right to create training jobs: its caller makes the tuning job, passes
    the role, and SageMaker makes the rest.
    """
    params, action = call.params, action_of(call)
    context: Values = request_tags(params.get("Tags"))
    types = {
        variant["InstanceType"]
        for variant in as_list(params.get("ProductionVariants"))
        if "InstanceType" in variant
    } | {one for one in [params.get("InstanceType")] if one}
    job = params.get("TrainingJobDefinition") or params
    resources = job.get("ResourceConfig") or {}
    types |= {one for one in [resources.get("InstanceType")] if one}
    if types:
        context["sagemaker:instancetypes"] = sorted(types)
    if call.operation in ("CreateTrainingJob", "CreateHyperParameterTuningJob"):
        context |= _of_job(job)
    if params.get("ResourceArn"):
        return [_tagged(action, params["ResourceArn"], known, context)]
    wanted = _OWN.get(call.operation, tuple(_NAMES))
    found = [
        _tagged(
            action, arn("sagemaker", known.region, f"{_NAMES[member]}/{params[member]}"), known,
            context,
        )
        for member in wanted
        if params.get(member)
    ]  # fmt: skip
    if call.operation.startswith("List") and "HyperParameterTuningJobName" not in params:
        return [Need(action=action)]
    return found or [Need(action=action, context=context)]


def _of_job(job: Mapping[str, Any]) -> Values:
    """Condition keys of a training job, or of what a tuning job makes them of."""
    output, resources = job.get("OutputDataConfig") or {}, job.get("ResourceConfig") or {}
    network, limits = job.get("VpcConfig") or {}, job.get("StoppingCondition") or {}
    encrypted = bool(job.get("EnableInterContainerTrafficEncryption"))
    found: dict[str, list[Any]] = {
        "intercontainertrafficencryption": [str(encrypted).lower()],
        "maxruntimeinseconds": as_list(limits.get("MaxRuntimeInSeconds")),
        "networkisolation": [str(bool(job.get("EnableNetworkIsolation"))).lower()],
        "outputkmskey": as_list(output.get("KmsKeyId")),
        "volumekmskey": as_list(resources.get("VolumeKmsKeyId")),
        "vpcsecuritygroupids": as_list(network.get("SecurityGroupIds")),
        "vpcsubnets": as_list(network.get("Subnets")),
    }
    return {
        f"sagemaker:{name}": [str(one) for one in values]
        for name, values in found.items()
        if values
    }


def _tagged(action: str, resource: str, known: Known, context: Values) -> Need:
    tags = known.tags("sagemaker", resource)
    return Need(
        action=action,
        resource=resource,
        context=context
        | tag_context("aws:resourcetag/", tags)
        | tag_context("sagemaker:resourcetag/", tags),
    )
