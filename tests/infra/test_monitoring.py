"""The monitoring module, really applied: what was asked for is kept, and nothing stays."""

import json
from typing import Any

import pytest
from tests.infra.conftest import Workshop

CALL = {
    "source": "./modules/monitoring",
    "alarm_email": "keeper@example.com",
    "endpoint": {"name": "watched", "variant": "live"},
    "function": {"name": "watched", "reserved_concurrency": 5, "timeout_seconds": 30},
    "max_monthly_usd": 150,
    "name": "watched",
    "tags": {"project": "watched"},
}


def files(**changes: Any) -> str:
    return json.dumps({"module": {"monitoring": {**CALL, **changes}}})


@pytest.mark.slow
def test_alarms_and_budget_are_kept_as_asked_changed_in_place_and_removed(
    workshop: Workshop, local_aws: Any
) -> None:
    folder = workshop.folder("monitoring", {"main.tf.json": files()})
    tf = folder.tf({})
    tf.apply()
    first = _warnings(local_aws)

    (folder.path / "main.tf.json").write_text(
        files(alarm_email="other@example.com", max_monthly_usd=90.5, tags={"project": "changed"})
    )
    changes = tf.plan(output=True)
    tf.apply()
    second = _warnings(local_aws)
    settled = tf.plan(output=True)
    alarms = local_aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    tf.destroy()
    left = local_aws.client("budgets").describe_budgets(AccountId=local_aws.account_id)["Budgets"]

    assert _actions(settled) == {}
    assert _actions(changes)["aws_budgets_budget"] == {("update",)}
    assert first == ("150.0", {("ACTUAL", 80.0, "keeper@example.com"),
                               ("FORECASTED", 100.0, "keeper@example.com")})  # fmt: skip
    assert second == ("90.5", {("ACTUAL", 80.0, "other@example.com"),
                               ("FORECASTED", 100.0, "other@example.com")})  # fmt: skip
    unanswered = next(a for a in alarms if a["AlarmName"] == "watched-no-healthy-traffic")
    assert {query["Id"] for query in unanswered["Metrics"]} == {
        "answered",
        "asked",
        "failed",
        "unanswered",
    }
    assert left == []


def _warnings(aws: Any) -> tuple[str, set[tuple[str, float, str]]]:
    """The budget's limit, and who hears of what."""
    budgets = aws.client("budgets")
    of = {"AccountId": aws.account_id, "BudgetName": "watched"}
    limit = budgets.describe_budget(**of)["Budget"]["BudgetLimit"]["Amount"]
    heard = set()
    for one in budgets.describe_notifications_for_budget(**of)["Notifications"]:
        one.pop("NotificationState")
        people = budgets.describe_subscribers_for_notification(**of, Notification=one)
        for person in people["Subscribers"]:
            heard.add((one["NotificationType"], one["Threshold"], person["Address"]))
    return limit, heard


def _actions(plan: Any) -> dict[str, set[tuple[str, ...]]]:
    """What would happen, by kind of resource."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for change in plan.resource_changes.values():
        actions = tuple(change["change"]["actions"])
        if actions not in (("no-op",), ("read",)):
            found.setdefault(change["type"], set()).add(actions)
    return found
