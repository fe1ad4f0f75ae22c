"""What Application Auto Scaling remembers: targets, policies, schedules, activities and tags."""

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply, json_reply
from localaws.scaling.keys import Key, Record, invalid, key_of, matching, missing
from localaws.scaling.schedules import Schedules


class ScalingRecords:
    """Kept as they were asked for."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self.lock = threading.RLock()
        self.targets: dict[Key, Record] = {}
        self.policies: dict[tuple[Key, str], Record] = {}
        self.activities: list[Record] = []
        """Newest last."""
        self._tags: dict[str, dict[str, str]] = {}
        service = "application-autoscaling"
        self.schedules = Schedules(aws, self.target)
        self.handlers: Mapping[Operation, Handler] = {
            **self.schedules.handlers,
            (service, "DeleteScalingPolicy"): self._delete_policy,
            (service, "DeregisterScalableTarget"): self._deregister,
            (service, "DescribeScalableTargets"): self._describe_targets,
            (service, "DescribeScalingActivities"): self._describe_activities,
            (service, "DescribeScalingPolicies"): self._describe_policies,
            (service, "ListTagsForResource"): self._list_tags,
            (service, "PutScalingPolicy"): self._put_policy,
            (service, "RegisterScalableTarget"): self._register,
            (service, "TagResource"): self._tag,
            (service, "UntagResource"): self._untag,
        }

    def add_activity(self, key: Key, description: str, cause: str) -> Record:
        """Remember that capacity is being changed."""
        activity = {
            "ActivityId": str(uuid.uuid4()),
            "ServiceNamespace": key[0],
            "ResourceId": key[1],
            "ScalableDimension": key[2],
            "Description": description,
            "Cause": cause,
            "StartTime": time.time(),
            "StatusCode": "InProgress",
        }
        with self.lock:
            self.activities.append(activity)
        return activity

    def _register(self, call: Call) -> Reply:
        key = key_of(call.params)
        with self.lock:
            target = dict(self.targets.get(key) or self._new_target(call, key))
            for name in ("MinCapacity", "MaxCapacity", "RoleARN", "SuspendedState"):
                if call.params.get(name) is not None:
                    target[name] = call.params[name]
            if "MinCapacity" not in target or "MaxCapacity" not in target:
                raise invalid("MinCapacity and MaxCapacity are required for a new target.")
            if target["MinCapacity"] > target["MaxCapacity"]:
                raise invalid("Maximum capacity cannot be less than minimum capacity")
            self.targets[key] = target
            tags = self._tags.setdefault(target["ScalableTargetARN"], {})
            tags.update(call.params.get("Tags") or {})
            return json_reply({"ScalableTargetARN": target["ScalableTargetARN"]})

    def _new_target(self, call: Call, key: Key) -> Record:
        self._check_resource(key)
        where = f"{self._aws.region}:{self._aws.account_id}"
        number = uuid.uuid4().hex[:24]
        off = dict.fromkeys(
            (
                "DynamicScalingInSuspended",
                "DynamicScalingOutSuspended",
                "ScheduledScalingSuspended",
            ),
            False,
        )
        return {
            "ServiceNamespace": key[0],
            "ResourceId": key[1],
            "ScalableDimension": key[2],
            "RoleARN": call.params.get("RoleARN")
            or f"arn:aws:iam::{self._aws.account_id}:role/aws-service-role/sagemaker.application-"
            "autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
            "CreationTime": time.time(),
            "SuspendedState": off,
            "ScalableTargetARN": (
                f"arn:aws:application-autoscaling:{where}:scalable-target/{number}"
            ),
        }

    def _check_resource(self, key: Key) -> None:
        if key[0] != "sagemaker":
            return
        sagemaker = self._aws.client("sagemaker")
        try:
            endpoint, variant = parse_variant(key[1])
            found = sagemaker.describe_endpoint(EndpointName=endpoint)
        except (ValueError, sagemaker.exceptions.ClientError):
            raise invalid(f"Endpoint of {key[1]} does not exist.") from None
        names = [item["VariantName"] for item in found["ProductionVariants"]]
        if variant not in names:
            raise invalid(f"{key[1]}: the endpoint has the variants {', '.join(names)}.")

    def _deregister(self, call: Call) -> Reply:
        key = key_of(call.params)
        with self.lock:
            target = self.target(key)
            del self.targets[key]
            self._tags.pop(target["ScalableTargetARN"], None)
            self.policies = {k: p for k, p in self.policies.items() if k[0] != key}
            self.schedules.forget(key)
        return json_reply({})

    def _describe_targets(self, call: Call) -> Reply:
        wanted = call.params.get("ResourceIds")
        with self.lock:
            found = [
                target
                for target in matching(call, list(self.targets.values()))
                if not wanted or target["ResourceId"] in wanted
            ]
        return json_reply({"ScalableTargets": found})

    def _put_policy(self, call: Call) -> Reply:
        key = key_of(call.params)
        name = call.params["PolicyName"]
        with self.lock:
            self.target(key)
            old = self.policies.get((key, name), {})
            where = f"{self._aws.region}:{self._aws.account_id}"
            policy = {
                "PolicyARN": f"arn:aws:autoscaling:{where}:scalingPolicy:{uuid.uuid4()}:resource/"
                f"{key[0]}/{key[1]}:policyName/{name}",
                "CreationTime": time.time(),
                "PolicyType": "StepScaling",
                "Alarms": [],
                **old,
                **call.params,
            }
            self.policies[key, name] = policy
        return json_reply({"PolicyARN": policy["PolicyARN"], "Alarms": policy["Alarms"]})

    def _describe_policies(self, call: Call) -> Reply:
        names = call.params.get("PolicyNames")
        with self.lock:
            found = [
                policy
                for policy in matching(call, list(self.policies.values()))
                if not names or policy["PolicyName"] in names
            ]
        return json_reply({"ScalingPolicies": found})

    def _delete_policy(self, call: Call) -> Reply:
        with self.lock:
            key = (key_of(call.params), call.params["PolicyName"])
            if key not in self.policies:
                raise missing(f"No scaling policy found for {key[0]} named {key[1]}")
            del self.policies[key]
        return json_reply({})

    def change_limits(self, key: Key, limits: Mapping[str, Any]) -> None:
        """Set what a scheduled action says."""
        with self.lock:
            target = self.target(key)
            self.targets[key] = target | {name: int(number) for name, number in limits.items()}

    def _describe_activities(self, call: Call) -> Reply:
        with self.lock:
            found = matching(call, self.activities[::-1])
        return json_reply({"ScalingActivities": found})

    def _tag(self, call: Call) -> Reply:
        self._tags_of(call).update(call.params["Tags"])
        return json_reply({})

    def _untag(self, call: Call) -> Reply:
        for name in call.params["TagKeys"]:
            self._tags_of(call).pop(name, None)
        return json_reply({})

    def _list_tags(self, call: Call) -> Reply:
        return json_reply({"Tags": self._tags_of(call)})

    def _tags_of(self, call: Call) -> dict[str, str]:
        arn = call.params["ResourceARN"]
        if arn not in self._tags:
            message = f"The resource {arn} does not exist."
            raise AwsError("ResourceNotFoundException", message, 400, {"ResourceName": arn})
        return self._tags[arn]

    def target(self, key: Key) -> Record:
        """A scalable target.

        Raises:
            AwsError: there is none.
        """
        if key not in self.targets:
            raise missing(
                f"No scalable target registered for service namespace: {key[0]}, resource ID: "
                f"{key[1]}, scalable dimension: {key[2]}"
            )
        return self.targets[key]


def parse_variant(resource_id: str) -> tuple[str, str]:
    """Endpoint and variant of `endpoint/<name>/variant/<name>`.

    Raises:
        ValueError: it is something else.
    """
    kind, endpoint, word, variant = resource_id.split("/")
    if (kind, word) != ("endpoint", "variant"):
        raise ValueError(resource_id)
    return endpoint, variant
