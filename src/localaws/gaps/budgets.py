"""Budgets with their notifications, subscribers and tags: records only, nobody spends."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, Operation, Reply

Record = dict[str, Any]
_END = datetime(2087, 6, 15, tzinfo=UTC)
_COUNTED = {
    "IncludeCredit": True,
    "IncludeDiscount": True,
    "IncludeOtherSubscription": True,
    "IncludeRecurring": True,
    "IncludeRefund": True,
    "IncludeSubscription": True,
    "IncludeSupport": True,
    "IncludeTax": True,
    "IncludeUpfront": True,
    "UseAmortized": False,
    "UseBlended": False,
}


class Budgets:
    """Answers the calls of budgets; moto lacks subscribers, tags and updates."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._budgets: dict[str, Record] = {}
        self._warnings: dict[str, list[tuple[Record, list[Record]]]] = {}
        """Notifications with their subscribers, by budget."""
        self._tags: dict[str, dict[str, str]] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("budgets", operation): self._locked(handler)
            for operation, handler in (
                ("CreateBudget", self._create),
                ("CreateNotification", self._add_warning),
                ("CreateSubscriber", self._subscribe),
                ("DeleteBudget", self._delete),
                ("DeleteNotification", self._remove_warning),
                ("DeleteSubscriber", self._unsubscribe),
                ("DescribeBudget", lambda call: {"Budget": self._budget(call)}),
                ("DescribeBudgets", lambda _: {"Budgets": list(self._budgets.values())}),
                ("DescribeNotificationsForBudget", self._list_warnings),
                ("DescribeSubscribersForNotification", self._list_subscribers),
                ("ListTagsForResource", self._list_tags),
                ("TagResource", self._tag),
                ("UntagResource", self._untag),
                ("UpdateBudget", self._update),
            )
        }

    def _locked(self, answer: Any) -> Handler:
        def handle(call: Call) -> Reply:
            with self._lock:
                return wire.result(call, answer(call) or {})

        return handle

    def _create(self, call: Call) -> None:
        name = call.params["Budget"]["BudgetName"]
        if name in self._budgets:
            raise AwsError(
                "DuplicateRecordException",
                f"Error creating budget: {name} - the budget already exists.",
            )
        self._budgets[name] = self._completed(call.params["Budget"])
        self._warnings[name] = [
            (given["Notification"], list(given["Subscribers"]))
            for given in call.params.get("NotificationsWithSubscribers") or ()
        ]
        self._tags[name] = {t["Key"]: t["Value"] for t in call.params.get("ResourceTags") or ()}

    def _update(self, call: Call) -> None:
        new = call.params["NewBudget"]
        old = self._named(new["BudgetName"])
        self._budgets[new["BudgetName"]] = self._completed({"TimePeriod": old["TimePeriod"], **new})

    def _completed(self, given: Record) -> Record:
        """A budget with what AWS adds."""
        now = datetime.now(UTC)
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        nothing = {"Amount": "0.0", "Unit": "USD"}
        return {
            "CostFilters": {},
            "CostTypes": dict(_COUNTED),
            **given,
            "CalculatedSpend": {"ActualSpend": nothing},
            "LastUpdatedTime": now,
            "TimePeriod": {"Start": month, "End": _END, **(given.get("TimePeriod") or {})},
        }

    def _delete(self, call: Call) -> None:
        name = self._budget(call)["BudgetName"]
        for kept in (self._budgets, self._warnings, self._tags):
            kept.pop(name, None)

    def _add_warning(self, call: Call) -> None:
        warning = (call.params["Notification"], list(call.params["Subscribers"]))
        self._warnings[self._budget(call)["BudgetName"]].append(warning)

    def _remove_warning(self, call: Call) -> None:
        self._warnings[call.params["BudgetName"]].remove(self._warning(call))

    def _list_warnings(self, call: Call) -> Record:
        warnings = self._warnings[self._budget(call)["BudgetName"]]
        return {"Notifications": [{"NotificationState": "OK", **one} for one, _ in warnings]}

    def _subscribe(self, call: Call) -> None:
        self._warning(call)[1].append(call.params["Subscriber"])

    def _unsubscribe(self, call: Call) -> None:
        self._warning(call)[1].remove(call.params["Subscriber"])

    def _list_subscribers(self, call: Call) -> Record:
        return {"Subscribers": self._warning(call)[1]}

    def _warning(self, call: Call) -> tuple[Record, list[Record]]:
        def same(one: Record) -> tuple[Any, ...]:
            keys = ("NotificationType", "ComparisonOperator", "Threshold")
            return (*(one[key] for key in keys), one.get("ThresholdType") or "PERCENTAGE")

        wanted = call.params["Notification"]
        for warning in self._warnings[self._budget(call)["BudgetName"]]:
            if same(warning[0]) == same(wanted):
                return warning
        raise AwsError("NotFoundException", "Unable to get the notification: it does not exist.")

    def _list_tags(self, call: Call) -> Record:
        tags = self._tags_of(call)
        return {"ResourceTags": [{"Key": k, "Value": v} for k, v in tags.items()]}

    def _tag(self, call: Call) -> None:
        self._tags_of(call).update({t["Key"]: t["Value"] for t in call.params["ResourceTags"]})

    def _untag(self, call: Call) -> None:
        for key in call.params["ResourceTagKeys"]:
            self._tags_of(call).pop(key, None)

    def _tags_of(self, call: Call) -> dict[str, str]:
        name = call.params["ResourceARN"].rpartition("budget/")[2]
        self._named(name)
        return self._tags[name]

    def _budget(self, call: Call) -> Record:
        return self._named(call.params["BudgetName"])

    def _named(self, name: str) -> Record:
        if name not in self._budgets:
            message = f"Unable to get budget: {name} - the budget doesn't exist."
            raise AwsError("NotFoundException", message)
        return self._budgets[name]
