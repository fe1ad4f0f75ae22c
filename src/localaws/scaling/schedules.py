"""What Application Auto Scaling remembers of scheduled actions, and which of them are due."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from localaws.core import Call, Handler, LocalAws, Operation, Reply, json_reply
from localaws.scaling.keys import Key, Record, invalid, key_of, matching, missing
from localaws.scaling.schedule import Due, ScheduleError, read_schedule


@dataclass(frozen=True, kw_only=True, slots=True)
class _Action:
    record: Record
    due: Due


class Schedules:
    """Scheduled actions, kept as they were asked for."""

    def __init__(self, aws: LocalAws, find_target: Callable[[Key], Record]) -> None:
        self._aws = aws
        self._find_target = find_target
        self._lock = threading.Lock()
        self._actions: dict[tuple[Key, str], _Action] = {}
        service = "application-autoscaling"
        self.handlers: Mapping[Operation, Handler] = {
            (service, "DeleteScheduledAction"): self._delete,
            (service, "DescribeScheduledActions"): self._describe,
            (service, "PutScheduledAction"): self._put,
        }

    def due(self, key: Key, after: datetime, until: datetime) -> list[Record]:
        """Actions of a target whose time came between two moments."""
        with self._lock:
            return [
                action.record
                for (target, _), action in self._actions.items()
                if target == key and action.due(after, until)
            ]

    def forget(self, key: Key) -> None:
        """Remove all of a target."""
        with self._lock:
            self._actions = {k: a for k, a in self._actions.items() if k[0] != key}

    def _put(self, call: Call) -> Reply:
        key, name = key_of(call.params), call.params["ScheduledActionName"]
        self._find_target(key)
        with self._lock:
            old = self._actions.get((key, name))
            where = f"{self._aws.region}:{self._aws.account_id}"
            record = {
                "ScheduledActionARN": f"arn:aws:autoscaling:{where}:scheduledAction:{uuid.uuid4()}"
                f":resource/{key[0]}/{key[1]}:scheduledActionName/{name}",
                "CreationTime": time.time(),
                **(old.record if old else {}),
                **call.params,
            }
            if not record.get("Schedule") or not record.get("ScalableTargetAction"):
                raise invalid("A new scheduled action needs Schedule and ScalableTargetAction.")
            zone = record.get("Timezone") or "UTC"
            try:
                due = read_schedule(record["Schedule"], zone, datetime.now(UTC))
            except ScheduleError as error:
                raise invalid(f"Invalid schedule: {error}") from None
            self._actions[key, name] = _Action(record=record, due=due)
        return json_reply({})

    def _describe(self, call: Call) -> Reply:
        names = call.params.get("ScheduledActionNames")
        with self._lock:
            records = [action.record for action in self._actions.values()]
        found = [
            record
            for record in matching(call, records)
            if not names or record["ScheduledActionName"] in names
        ]
        return json_reply({"ScheduledActions": found})

    def _delete(self, call: Call) -> Reply:
        key = (key_of(call.params), call.params["ScheduledActionName"])
        with self._lock:
            if key not in self._actions:
                raise missing(f"No scheduled action found for {key[0]} named {key[1]}")
            del self._actions[key]
        return json_reply({})
