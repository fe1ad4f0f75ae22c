"""What a call needs: one or several of action, resource and context.

It follows AWS's service authorization reference. The modules `needs_*` know single services;
what nobody knows needs the resource `*`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from localaws.core import Call
from localaws.records import ACCOUNT_ID

Values = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One question to the policies."""

    action: str
    resource: str = "*"
    context: Values = field(default_factory=dict)
    """Condition keys in lower case, besides the global ones."""


class Known(Protocol):
    """What the needs of a call depend on, besides the call."""

    region: str

    def tags(self, service: str, resource: str) -> Mapping[str, str]:
        """Tags of a resource by id or ARN; empty when it has none."""

    def route_table(self, association_id: str) -> str | None:
        """The route table of an association; None when there is none."""

    def boundary_of(self, role_name: str) -> str | None:
        """ARN of a role's permissions boundary; None when it has none."""

    def bucket_key(self, bucket: str) -> str | None:
        """ARN of the KMS key that a bucket's objects are encrypted with; None without one."""

    def launch_template(self, specification: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a launch template says; empty when it does not exist."""


Needs = Callable[[Call, Known], list[Need]]

# Where the prefix of actions is not the name of the service model.
_PREFIX = {
    "apigatewayv2": "apigateway",
    "resourcegroupstaggingapi": "tag",
    "s3control": "s3",
    "sagemaker-metrics": "sagemaker",
    "sagemaker-runtime": "sagemaker",
    "service-quotas": "servicequotas",
}


def action_of(call: Call) -> str:
    """The action that a call is named after."""
    return f"{_PREFIX.get(call.service, call.service)}:{call.operation}"


def arn(service: str, region: str, resource: str) -> str:
    """An ARN of this account."""
    return f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{resource}"


def tag_context(prefix: str, tags: Mapping[str, str]) -> Values:
    """Condition keys for tags, for example under `aws:resourcetag/`."""
    return {f"{prefix}{key}".lower(): [value] for key, value in tags.items()}


def request_tags(tags: Any) -> Values:
    """aws:RequestTag/... and aws:TagKeys of the tags that a call gives."""
    if isinstance(tags, Mapping):
        given = {str(key): str(value) for key, value in tags.items()}
    else:
        given = {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or ()}
    if not given:
        return {}
    return {**tag_context("aws:requesttag/", given), "aws:tagkeys": list(given)}


# Who makes a thing with tags must be allowed to tag it as well. EC2 is a case of its own.
_TAGGING = {
    ("application-autoscaling", "RegisterScalableTarget"): "application-autoscaling:TagResource",
    ("budgets", "CreateBudget"): "budgets:TagResource",
    ("cloudwatch", "PutMetricAlarm"): "cloudwatch:TagResource",
    ("ecr", "CreateRepository"): "ecr:TagResource",
    ("iam", "CreateInstanceProfile"): "iam:TagInstanceProfile",
    ("iam", "CreatePolicy"): "iam:TagPolicy",
    ("iam", "CreateRole"): "iam:TagRole",
    ("lambda", "CreateFunction"): "lambda:TagResource",
    ("logs", "CreateLogGroup"): "logs:TagResource",
    ("sns", "CreateTopic"): "sns:TagResource",
    ("sqs", "CreateQueue"): "sqs:TagQueue",
}


def _tagging(call: Call, needs: list[Need]) -> list[Need]:
    params = call.params
    given = params.get("Tags") or params.get("tags") or params.get("ResourceTags")
    action = _TAGGING.get((call.service, call.operation))
    if call.service == "sagemaker" and call.operation.startswith("Create"):
        action = "sagemaker:AddTags"
    if not action or not given:
        return []
    first = needs[0]
    return [Need(action=action, resource=first.resource, context=request_tags(given))]


def needs_of(call: Call, known: Known) -> list[Need]:
    """Everything that a caller must be allowed to do."""
    from localaws.iam import needs_compute, needs_services, needs_storage

    for table in (needs_storage.NEEDS, needs_compute.NEEDS, needs_services.NEEDS):
        needs = table.get(call.service)
        if needs is not None:
            found = needs(call, known)
            return [*found, *_tagging(call, found)]
    return [Need(action=action_of(call), context=request_tags(call.params.get("Tags")))]
