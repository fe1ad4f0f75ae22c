"""What every flow is given: the stage, and how to tell whether something was written."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from tests.e2e.decided import Decisions, until
from tests.e2e.stage import Stage

Flow = Callable[[], bool]
"""The smallest real thing that a statement is for; says whether it worked."""


class Flows(ABC):
    """Flows of one role."""

    role: str
    """What follows the stack's name in the role's."""

    def __init__(self, stage: Stage, decisions: Decisions) -> None:
        self.stage = stage
        self.stack = stage.stack
        self.decisions = decisions

    @abstractmethod
    def by_statement(self) -> dict[str, Flow]:
        """What each statement of the role's own policy is for, by Sid."""

    def by_policy(self) -> dict[str, Flow]:
        """What every statement of another policy of the role is for, by the policy's name."""
        return {}

    def client(self, service: str) -> Any:
        """An administrator's: what is proved is the right of the role that it sets to work."""
        return self.stage.client(service)

    def writing(self, group: str, flow: Flow) -> Flow:
        """A flow that works when it leaves new lines in a log group."""
        return self._leaving(lambda: self._lines(group), flow)

    def measuring(self, namespace: str, flow: Flow) -> Flow:
        """A flow that works when it leaves new datapoints in a namespace."""
        return self._leaving(lambda: self._datapoints(namespace), flow)

    def _leaving(self, count: Callable[[], int], flow: Flow) -> Flow:
        def leaves() -> bool:
            before = count()
            refused = len(self.decisions.refused())
            flow()
            # Logs and metrics are written in the background.
            until(lambda: count() > before or len(self.decisions.refused()) > refused)
            return count() > before

        return leaves

    def _lines(self, group: str) -> int:
        logs = self.client("logs")
        groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if not groups:
            return 0
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return sum(len(page["events"]) for page in pages)

    def _datapoints(self, namespace: str) -> int:
        pages = (
            self.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace=namespace)
        )
        own = [metric for page in pages for metric in page["Metrics"]]
        return len(own) + sum(self._samples(metric) for metric in own)

    def _samples(self, metric: dict[str, Any]) -> int:
        now = datetime.now(UTC)
        found = self.client("cloudwatch").get_metric_statistics(
            Namespace=metric["Namespace"],
            MetricName=metric["MetricName"],
            Dimensions=metric["Dimensions"],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=["SampleCount"],
        )
        return int(sum(point["SampleCount"] for point in found["Datapoints"]))


def allowed(call: Callable[[], Any]) -> bool:
    """Whether a call is let through; AWS's refusal of the role, or of the caller, is False."""
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        words = ("AccessDenied", "InvalidInstanceId", "InvalidParameterValue", "Validation")
        if not code.startswith(words):
            raise
        return False
    return True
