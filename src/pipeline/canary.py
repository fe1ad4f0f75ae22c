"""Tries changed code of the function on a few callers before everybody gets it.

The alias keeps its old version and gives a share of its callers to the new one; the new one is
watched; then Terraform gives everybody one of the two. docs/decisions/0060 has the reasons.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from contract.serving import Canary
from contract.settings import Settings
from contract.stack import Function, Stack
from pipeline.aws import Account, Client, error_code
from pipeline.cli import Failed

PAUSE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTrial:
    """The root module's variable `function_trial`."""

    old_version: str
    """Callers keep it."""
    open: bool
    """Whether a few of them get the new version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """An alias whose callers are shared out."""

    function: str
    old_version: str
    new_version: str

    @property
    def turned_back(self) -> PlannedTrial:
        """Everybody gets the old version."""
        return PlannedTrial(old_version=self.old_version, open=False)

    def announced(self, canary: Canary) -> str:
        """What begins."""
        return (
            f"{canary.percent} % of the callers try version {self.new_version} of {self.function} "
            f"for {canary.seconds} s; the others keep version {self.old_version}."
        )

    def told_back(self, model_version: str) -> str:
        """What became of it, and what to do."""
        return (
            f"Version {self.new_version} of {self.function} was turned back: version "
            f"{self.old_version} answers everybody, with model {model_version}. Put the code "
            "right and `make package apply`, or `make rollback`."
        )


def planned_trial(
    account: Account, settings: Settings, before: Stack | None, tell: Callable[[str], None]
) -> PlannedTrial | None:
    """What Terraform is told, so that callers keep their version at first.

    Returns:
        `None` when there is nobody to keep something for, or the settings want no trial.
    """
    # Without an endpoint there is no right answer to ask for.
    if settings.function.canary is None or settings.endpoint.mode == "off":
        return None
    if before is None or before.function is None:
        return None
    client, function = account.client("lambda"), before.function
    try:
        version = client.get_alias(FunctionName=function.name, Name=function.alias)[
            "FunctionVersion"
        ]
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return None
        raise
    found = client.get_function_configuration(FunctionName=function.name, Qualifier=version)
    keeps_letters = bool(found.get("DeadLetterConfig", {}).get("TargetArn"))
    if keeps_letters != settings.function.dead_letters:
        tell(
            "function.dead_letters changes, and only like versions can share callers: everybody "
            "gets the new version at once."
        )
        return None
    return PlannedTrial(old_version=version, open=True)


def open_trial(client: Client, function: Function) -> Trial | None:
    """The trial that is under way, if one is."""
    alias: dict[str, Any] = client.get_alias(FunctionName=function.name, Name=function.alias)
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    for new_version in weights:
        return Trial(
            function=function.name,
            old_version=alias["FunctionVersion"],
            new_version=new_version,
        )
    return None


def watch(
    account: Account,
    function: Function,
    trial: Trial,
    canary: Canary,
    prove: Callable[[Function], object],
) -> None:
    """Look at the new version until its time is over.

    Args:
        account: where it is.
        function: whose alias is shared.
        trial: the two versions.
        canary: how long to look.
        prove: asks a function the golden question; raises Failed at a wrong answer.

    Raises:
        Failed: it answered wrongly, or failed a caller.
    """
    began = datetime.now(UTC)
    deadline = time.monotonic() + canary.seconds
    new = replace(function, alias=trial.new_version)
    while True:
        prove(new)
        errors = failed_requests(account, function, trial.new_version, began)
        if errors:
            raise Failed(
                f"Version {trial.new_version} of {function.name} failed {errors} of its callers' "
                f"requests; see the streams with [{trial.new_version}] in /aws/lambda/"
                f"{function.name}."
            )
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(PAUSE_SECONDS, left))


def failed_requests(account: Account, function: Function, version: str, since: datetime) -> int:
    """How many requests a version failed, of those that the alias gave it.

    Args:
        account: where it is.
        function: whose alias is shared.
        version: the one that is tried.
        since: CloudWatch counts by the minute, so the whole minute is looked at.
    """
    dimensions = {
        "ExecutedVersion": version,
        "FunctionName": function.name,
        "Resource": f"{function.name}:{function.alias}",
    }
    found = account.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=since.replace(second=0, microsecond=0),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    errors: float = sum(point["Sum"] for point in found["Datapoints"])
    return round(errors)
