"""How a new fleet takes over from the old one: at once, by a canary, in steps, or in batches."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localaws.core import LocalAws
from localaws.hosting.fleet import Fleet
from localaws.hosting.records import Record, invalid
from localaws.roles import role_client

CHECK_SECONDS = 1.0
"""How often the alarms are looked at."""
DEFAULT_LIMIT_SECONDS = 28800


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A deployment configuration, understood."""

    shares: tuple[float, ...]
    """Of the requests that the new fleet gets, step by step; the last is 1."""
    wait_seconds: float = 0.0
    """After each step."""
    last_wait_seconds: float = 0.0
    """After the last one."""
    limit_seconds: float = DEFAULT_LIMIT_SECONDS
    rolling: bool = False
    """Instances of the old fleet leave at each step."""
    alarms: tuple[str, ...] = ()


def read_plan(aws: LocalAws, deployment: Mapping[str, Any] | None, fleet: Fleet) -> Plan:
    """Understand a DeploymentConfig for a new fleet.

    Raises:
        AwsError: AWS does not accept it.
    """
    if not deployment or fleet.serverless:
        # Serverless endpoints always change over at once.
        return Plan(shares=(1.0,))
    alarms = _alarms(aws, deployment)
    blue_green = deployment.get("BlueGreenUpdatePolicy")
    rolling = deployment.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise invalid("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy may be given.")
    instances = sum(fleet.desired.values())
    if rolling:
        if len(fleet.variants) > 1:
            raise invalid("A rolling update needs an endpoint with one variant.")
        share = _share(rolling["MaximumBatchSize"], instances, "MaximumBatchSize", 0.05)
        wait = float(rolling["WaitIntervalInSeconds"])
        return Plan(
            shares=_steps(share),
            wait_seconds=wait,
            last_wait_seconds=wait,
            limit_seconds=_limit(rolling),
            rolling=True,
            alarms=alarms,
        )
    if not blue_green:
        return Plan(shares=(1.0,), alarms=alarms)
    routing = blue_green["TrafficRoutingConfiguration"]
    return Plan(
        shares=_shares(routing, instances),
        wait_seconds=float(routing["WaitIntervalInSeconds"]),
        last_wait_seconds=float(blue_green.get("TerminationWaitInSeconds") or 0),
        limit_seconds=_limit(blue_green),
        alarms=alarms,
    )


def _shares(routing: Mapping[str, Any], instances: int) -> tuple[float, ...]:
    if routing["Type"] == "CANARY":
        if not routing.get("CanarySize"):
            raise invalid("CanarySize is required for traffic routing of type CANARY.")
        return _share(routing["CanarySize"], instances, "CanarySize", 0.0), 1.0
    if routing["Type"] == "LINEAR":
        if not routing.get("LinearStepSize"):
            raise invalid("LinearStepSize is required for traffic routing of type LINEAR.")
        return _steps(_share(routing["LinearStepSize"], instances, "LinearStepSize", 0.1))
    return (1.0,)


def _share(size: Mapping[str, Any], instances: int, name: str, least: float) -> float:
    by_count = size["Type"] == "INSTANCE_COUNT"
    share = float(size["Value"]) / instances if by_count else float(size["Value"]) / 100
    if not least <= share <= 0.5:
        shown = f"{share:.0%} of {instances} instances"
        raise invalid(f"{name} is {shown}; it must be {least:.0%} to 50%.")
    return share


def _steps(share: float) -> tuple[float, ...]:
    count = math.ceil(1 / share - 1e-9)
    return (*(share * number for number in range(1, count)), 1.0)


def _limit(policy: Mapping[str, Any]) -> float:
    return float(policy.get("MaximumExecutionTimeoutInSeconds") or DEFAULT_LIMIT_SECONDS)


def _alarms(aws: LocalAws, deployment: Mapping[str, Any]) -> tuple[str, ...]:
    rollback = deployment.get("AutoRollbackConfiguration") or {}
    names = tuple(alarm["AlarmName"] for alarm in rollback.get("Alarms") or ())
    if not names:
        return ()
    found = aws.records_client("cloudwatch").describe_alarms(AlarmNames=list(names))
    known = {alarm["AlarmName"] for alarm in found["MetricAlarms"]}
    missing = [name for name in names if name not in known]
    if missing:
        raise invalid(f"CloudWatch alarm(s) [{', '.join(missing)}] do not exist.")
    return names


class Rollout:
    """One change of fleets, while it goes on."""

    def __init__(
        self, aws: LocalAws, old: Fleet, new: Fleet, plan: Plan, stopped: Callable[[], bool]
    ) -> None:
        self.old = old
        self.new = new
        self.share = 0.0
        """Of the requests that the new fleet gets now."""
        self.stage = "Creating"
        self.started = time.time()
        self._aws = aws
        self._plan = plan
        self._stopped = stopped
        self._end = time.monotonic() + plan.limit_seconds
        self._turn = 0.0
        self._cloudwatch: Any = None

    def route(self) -> Fleet:
        """Who gets the next request; called under the endpoint's lock."""
        self._turn += self.share
        if self._turn < 1 - 1e-9:
            return self.old
        self._turn -= 1
        return self.new

    def run(self, desired: Mapping[str, int]) -> str | None:
        """Hand over, or say why not; then the old fleet serves as before."""
        problem = self._roll(desired) if self._plan.rolling else self._shift(desired)
        if problem:
            self.share = 0.0
        return problem

    def _shift(self, desired: Mapping[str, int]) -> str | None:
        self.new.scale(desired)
        problem = self.new.settle() or self._late()
        for number, share in enumerate(self._plan.shares, start=1):
            if problem:
                return problem
            self.stage = "ActivatingTraffic"
            self.share = share
            problem = self._bake(number)
        return problem

    def _roll(self, desired: Mapping[str, int]) -> str | None:
        [name] = self.new.desired
        wanted = desired.get(name, self.new.desired[name])
        before = self.old.desired[name]
        problem = None
        for number, share in enumerate(self._plan.shares, start=1):
            self.stage = "Creating"
            self.new.scale({name: math.ceil(wanted * share)})
            problem = self.new.settle() or self._late()
            if not problem:
                self.share = share
                self.old.scale({name: math.floor(before * (1 - share))})
                self.old.settle()
                problem = self._bake(number)
            if problem:
                break
        if problem:
            self.old.scale({name: before})
            self.old.settle()
        return problem

    def _bake(self, number: int) -> str | None:
        """Watch the alarms for as long as the plan says; why to go back, or None."""
        last = number == len(self._plan.shares)
        seconds = self._plan.last_wait_seconds if last else self._plan.wait_seconds
        if seconds > 0:
            self.stage = "Baking"
        end = time.monotonic() + seconds
        while not self._stopped():
            problem = self._late() or self._ringing()
            left = end - time.monotonic()
            if problem or left <= 0:
                return problem
            time.sleep(min(CHECK_SECONDS, left))
        return "The endpoint was deleted."

    def _ringing(self) -> str | None:
        """Which alarms ring, seen with the rights of the new model's role."""
        names = self._plan.alarms
        if not names:
            return None
        if self._cloudwatch is None:
            self._cloudwatch = role_client(self._aws, "cloudwatch", self.new.role_arn, "SageMaker")
        client = self._cloudwatch
        try:
            found = client.describe_alarms(AlarmNames=list(names))["MetricAlarms"]
        except client.exceptions.ClientError as error:
            return f"The alarms {', '.join(names)} could not be described: {error}"
        ringing = [
            f"{alarm['AlarmName']} ({alarm.get('StateReason', '')})"
            for alarm in found
            if alarm["StateValue"] == "ALARM"
        ]
        return f"Alarm(s) went into ALARM state: {'; '.join(ringing)}" if ringing else None

    def _late(self) -> str | None:
        if time.monotonic() < self._end:
            return None
        return f"The deployment took more than {self._plan.limit_seconds:.0f} seconds."

    def describe(self) -> Record:
        """The member PendingDeploymentSummary of DescribeEndpoint."""
        status = {"Status": self.stage, "StartTime": self.started}
        return {
            "EndpointConfigName": self.new.config_name,
            "ProductionVariants": [
                {**summary, "VariantStatus": [status]} for summary in self.new.describe()
            ],
            "StartTime": self.started,
        }
