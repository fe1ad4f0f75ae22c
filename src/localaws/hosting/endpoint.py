"""One endpoint: what it says of itself, and its way from one fleet to the next."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from localaws.core import LocalAws
from localaws.hosting.fleet import Fleet
from localaws.hosting.records import Record, invalid
from localaws.hosting.rollout import Rollout, read_plan

BUSY_SECONDS = 20.0
"""How long an update waits for a running change; AWS refuses at once."""
CHANGING = ("Creating", "Updating")
MakeFleet = Callable[[str, Mapping[str, Any]], Fleet]


class Endpoint:
    """Creating, InService, Updating, Failed or Deleting."""

    def __init__(
        self,
        aws: LocalAws,
        name: str,
        arn: str,
        config: Mapping[str, Any],
        make_fleet: MakeFleet,
        deployment: Mapping[str, Any] | None,
    ) -> None:
        self.name = name
        self.arn = arn
        self._aws = aws
        self.status = "Creating"
        self.failure: str | None = None
        self.created = time.time()
        self.modified = self.created
        self.gone = threading.Event()
        self.deployment = deployment
        self._make_fleet = make_fleet
        self._config = config
        self._state = threading.Condition()
        self.fleet = make_fleet(name, config)
        self._rollout: Rollout | None = None
        try:
            read_plan(aws, deployment, self.fleet)
        except Exception:
            self.fleet.stop()
            raise
        self._in_background(self._create)

    def route(self) -> Fleet:
        """Who gets the next request."""
        with self._state:
            return self._rollout.route() if self._rollout else self.fleet

    def fleets(self) -> list[Fleet]:
        """The one that serves, and the one that takes over."""
        rollout = self._rollout
        return [self.fleet, rollout.new] if rollout else [self.fleet]

    def describe(self) -> Record:
        """The members of DescribeEndpoint, all of one moment."""
        with self._state:
            record: Record = {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self.fleet.config_name,
                "ProductionVariants": self.fleet.describe(),
                "EndpointStatus": self.status,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
            }
            optional = {
                "FailureReason": self.failure,
                "LastDeploymentConfig": self.deployment,
                "PendingDeploymentSummary": self._rollout.describe() if self._rollout else None,
                "DataCaptureConfig": _capture(self._config.get("DataCaptureConfig")),
                "AsyncInferenceConfig": self._config.get("AsyncInferenceConfig"),
            }
        return {**record, **{key: value for key, value in optional.items() if value}}

    def update(
        self,
        config: Mapping[str, Any],
        retained: Mapping[str, int],
        deployment: Mapping[str, Any] | None,
    ) -> None:
        """Start a second fleet, and let it take over as the deployment configuration says.

        Args:
            config: of the new fleet.
            retained: instance counts by variant that replace the configuration's.
            deployment: how; without one, all at once.

        Raises:
            AwsError: another change is still going on, or AWS does not do this.
        """
        self._begin()
        fleet = None
        try:
            fleet = self._make_fleet(self.name, config)
            if fleet.serverless and not self.fleet.serverless:
                raise invalid(
                    f'Cannot update endpoint "{self.arn}" to a serverless one: its instances '
                    "cannot be converted."
                )
            plan = read_plan(self._aws, deployment, fleet)
        except Exception:
            if fleet:
                fleet.stop()
            self._become("InService")
            raise
        self.deployment = deployment
        known = {name: count for name, count in retained.items() if name in fleet.desired}
        rollout = Rollout(self._aws, self.fleet, fleet, plan, lambda: self.status == "Deleting")
        self._rollout = rollout
        self._in_background(lambda: self._switch(rollout, config, known))

    def scale(self, desired: Mapping[str, int], weights: Mapping[str, float]) -> None:
        """Change how many instances serve; those that leave finish their requests first.

        Raises:
            AwsError: another change is still going on.
        """
        self._begin()
        self._in_background(lambda: self._scale(desired, weights))

    def delete(self) -> None:
        """End it in the background."""
        self._become("Deleting")
        self._in_background(self._delete)

    def stop(self) -> None:
        """End every process, now."""
        self.status = "Deleting"
        for fleet in self.fleets():
            fleet.stop()

    def _create(self) -> None:
        self.fleet.scale({})
        problem = self.fleet.settle()
        if problem:
            self._become("Failed", problem)
            self.fleet.stop()
        else:
            self._become("InService")

    def _switch(
        self, rollout: Rollout, config: Mapping[str, Any], desired: Mapping[str, int]
    ) -> None:
        new = rollout.new
        problem = rollout.run(desired)
        if self.status == "Deleting":
            new.stop()
        elif problem:
            with self._state:
                self._rollout = None
            new.drain()
            self._become(
                "InService",
                f"UpdateRollbackComplete: the update to endpoint configuration "
                f"{new.config_name} failed and was rolled back to {self.fleet.config_name}. "
                f"{problem}",
            )
        else:
            with self._state:
                old, self.fleet, self._config, self._rollout = self.fleet, new, config, None
            old.drain()
            self._become("InService")

    def _scale(self, desired: Mapping[str, int], weights: Mapping[str, float]) -> None:
        fleet = self.fleet
        fleet.scale(desired, weights)
        problem = fleet.settle()
        if problem:
            fleet.drop_failed()
        self._become("InService", problem)

    def _delete(self) -> None:
        for fleet in self.fleets():
            fleet.stop()
        self.gone.set()

    def _begin(self) -> None:
        with self._state:
            self._state.wait_for(lambda: self.status not in CHANGING, timeout=BUSY_SECONDS)
            if self.status != "InService":
                raise invalid(
                    f'Cannot update in-progress endpoint "{self.arn}".'
                    if self.status in (*CHANGING, "Deleting")
                    else f'Cannot update endpoint "{self.arn}" in status {self.status}.'
                )
            self.status, self.failure, self.modified = "Updating", None, time.time()

    def _become(self, status: str, failure: str | None = None) -> None:
        with self._state:
            if self.status != "Deleting":
                self.status, self.failure = status, failure
            self.modified = time.time()
            self._state.notify_all()

    def _in_background(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=f"endpoint-{self.name}", daemon=True).start()


def _capture(config: Mapping[str, Any] | None) -> Record | None:
    if not config:
        return None
    enabled = bool(config.get("EnableCapture"))
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config.get("InitialSamplingPercentage", 100),
        "DestinationS3Uri": config.get("DestinationS3Uri", ""),
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
