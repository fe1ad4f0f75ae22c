"""Application Auto Scaling: target tracking that really starts and ends instances.

It reads the endpoints' own Invocations from CloudWatch and calls
UpdateEndpointWeightsAndCapacities, as AWS does. It is faster than AWS, so that a person at a
laptop sees it work:

- AWS adds instances after three one-minute datapoints above the target, and a datapoint arrives a
  minute late; here the last minute is looked at every five seconds, and one look is enough.
- AWS removes instances after fifteen datapoints below 90 % of the target; here after a whole
  minute of looks below it, one instance at a time.
- Requests at once are looked at for half a minute; AWS needs about as long.
- Both cooldowns are honoured as they are set. Scheduled actions happen at their minute.

LOCALAWS_SCALING_INTERVAL_SECONDS and LOCALAWS_SCALING_WINDOW_SECONDS change the five seconds and
the minute; counts are always converted to a minute's. Evaluated are the predefined metrics of
invocations and of requests at once; policies of other metrics and step policies are recorded, not
executed. The alarms that AWS makes for a policy do not exist here.
"""

import logging
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from localaws.core import Handler, LocalAws, Observer, Operation
from localaws.scaling.decision import History, decide
from localaws.scaling.keys import Key, Record
from localaws.scaling.records import ScalingRecords, parse_variant

log = logging.getLogger(__name__)
INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
AT_ONCE = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


class Scaling:
    """The part that changes instance counts."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._records = ScalingRecords(aws)
        self._interval_seconds = float(os.environ.get("LOCALAWS_SCALING_INTERVAL_SECONDS", "5"))
        self._window_seconds = float(os.environ.get("LOCALAWS_SCALING_WINDOW_SECONDS", "60"))
        self._histories: dict[Key, History] = {}
        self._looked = datetime.now(UTC)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scaling", daemon=True)
        self._thread.start()
        self.handlers: Mapping[Operation, Handler] = self._records.handlers
        self.observers: Mapping[Operation, Observer] = {}

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._closed.wait(self._interval_seconds):
            with self._records.lock:
                targets = list(self._records.targets)
            since, self._looked = self._looked, datetime.now(UTC)
            for key in targets:
                try:
                    self._keep_schedule(key, since)
                    if key[2] == DIMENSION:
                        self._look(key, self._records.targets[key])
                except Exception as error:
                    # The endpoint may be gone or busy; the next look sees.
                    log.info("%s was not scaled: %s", key[1], error)

    def _keep_schedule(self, key: Key, since: datetime) -> None:
        """Set the limits of scheduled actions whose time has come."""
        for action in self._records.schedules.due(key, since, self._looked):
            limits = action["ScalableTargetAction"]
            self._records.change_limits(key, limits)
            shown = " and ".join(
                f"{word} capacity to {limits[name]}"
                for name, word in (("MinCapacity", "min"), ("MaxCapacity", "max"))
                if name in limits
            )
            cause = f"scheduled action name {action['ScheduledActionName']} was triggered"
            activity = self._records.add_activity(key, f"Setting {shown}", cause)
            activity.update(StatusCode="Successful", EndTime=time.time())
            log.info("%s: %s: %s", key[1], cause, shown)

    def _look(self, key: Key, target: Record) -> None:
        endpoint, variant = parse_variant(key[1])
        found = self._aws.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        if found["EndpointStatus"] != "InService":
            return
        current = next(
            item["DesiredInstanceCount"]
            for item in found["ProductionVariants"]
            if item["VariantName"] == variant
        )
        least, most = target["MinCapacity"], target["MaxCapacity"]
        if not least <= current <= most:
            wanted = min(max(current, least), most)
            bound = "minimum" if current < least else "maximum"
            self._set(key, wanted, f"{bound} capacity was set to {wanted}")
            return
        for policy in self._policies(key):
            if self._follow(key, target, policy, current):
                return

    def _policies(self, key: Key) -> list[Record]:
        with self._records.lock:
            return [
                policy
                for (target, _), policy in self._records.policies.items()
                if target == key
                and policy["PolicyType"] == "TargetTrackingScaling"
                and _metric_of(policy) in (INVOCATIONS, AT_ONCE)
            ]

    def _follow(self, key: Key, target: Record, policy: Record, current: int) -> bool:
        """Compare the last minute with the policy's target; whether capacity was changed."""
        settings = policy["TargetTrackingScalingPolicyConfiguration"]
        at_once = _metric_of(policy) == AT_ONCE
        where = parse_variant(key[1])
        load = (
            current * self._requests_at_once(*where)
            if at_once
            else self._invocations_per_minute(*where)
        )
        wanted = decide(
            current=current,
            load=load,
            target=target,
            settings=settings,
            history=self._histories.setdefault(key, History()),
            patience_seconds=self._window_seconds,
            now=time.monotonic(),
        )
        if wanted == current:
            return False
        self._set(
            key,
            wanted,
            f"{load:g} {'requests at once' if at_once else 'invocations a minute'} on {current} "
            f"instance(s), with a target of {settings['TargetValue']:g} each, triggered policy "
            f"{policy['PolicyName']}",
        )
        return True

    def _invocations_per_minute(self, endpoint: str, variant: str) -> float:
        points = self._statistics(endpoint, variant, "Invocations", "Sum", self._window_seconds)
        return sum(points) * 60 / self._window_seconds

    def _requests_at_once(self, endpoint: str, variant: str) -> float:
        """Of one instance, on average; instances say nothing when there is nothing."""
        points = self._statistics(
            endpoint, variant, "ConcurrentRequestsPerModel", "Average", self._window_seconds / 2
        )
        return sum(points) / max(1, len(points))

    def _statistics(
        self, endpoint: str, variant: str, metric: str, statistic: str, seconds: float
    ) -> list[float]:
        now = datetime.now(UTC)
        points = self._aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": variant},
            ],
            StartTime=now - timedelta(seconds=seconds),
            EndTime=now + timedelta(seconds=1),
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        return [point[statistic] for point in points]

    def _set(self, key: Key, wanted: int, cause: str) -> None:
        endpoint, variant = parse_variant(key[1])
        description = f"Setting desired instance count to {wanted}."
        activity = self._records.add_activity(key, description, cause)
        log.info("%s: %s %s", key[1], description, cause)
        try:
            self._aws.client("sagemaker").update_endpoint_weights_and_capacities(
                EndpointName=endpoint,
                DesiredWeightsAndCapacities=[
                    {"VariantName": variant, "DesiredInstanceCount": wanted}
                ],
            )
        except Exception as error:
            activity.update(StatusCode="Failed", StatusMessage=str(error), EndTime=time.time())
            raise
        activity.update(
            StatusCode="Successful",
            StatusMessage=f"Successfully set desired instance count to {wanted}.",
            EndTime=time.time(),
        )


def _metric_of(policy: Mapping[str, Any]) -> str | None:
    settings = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    metric = settings.get("PredefinedMetricSpecification") or {}
    kind = metric.get("PredefinedMetricType")
    return str(kind) if kind else None
