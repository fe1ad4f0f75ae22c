"""Event source mappings: queues whose messages Lambda takes to a function.

Only SQS; streams are refused by name. moto would keep the records, but calls a function of its own
as soon as a message comes.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply
from localaws.forward import ask_records
from localaws.functions.poller import Poller
from localaws.functions.records import split_name

SQS_RIGHTS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
"""What AWS looks for in the function's role when a mapping is made."""
_CHANGEABLE = {
    "BatchSize": 10,
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "ScalingConfig": {},
}
"""Settings with what they are when nobody says."""


class EventSources:
    """Keeps the mappings and a poller for each."""

    def __init__(
        self,
        aws: LocalAws,
        configuration: Callable[[str, str], Mapping[str, Any]],
        run: Callable[[str, bytes], bytes | None],
    ) -> None:
        self._aws = aws
        self._configuration = configuration
        self._run = run
        self._lock = threading.Lock()
        self._mappings: dict[str, dict[str, Any]] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._pollers: dict[str, Poller] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("lambda", "CreateEventSourceMapping"): self._create,
            ("lambda", "DeleteEventSourceMapping"): self._delete,
            ("lambda", "GetEventSourceMapping"): self._get,
            ("lambda", "ListEventSourceMappings"): self._list,
            ("lambda", "ListTags"): self._list_tags,
            ("lambda", "TagResource"): self._tag,
            ("lambda", "UntagResource"): self._untag,
            ("lambda", "UpdateEventSourceMapping"): self._update,
        }

    def close(self) -> None:
        """Stop taking messages."""
        with self._lock:
            pollers = list(self._pollers.values())
            self._pollers.clear()
        for poller in pollers:
            poller.close()

    def _create(self, call: Call) -> Reply:
        params = call.params
        source = str(params.get("EventSourceArn") or "")
        if source.split(":")[2:3] != ["sqs"] or source.endswith(".fifo"):
            message = f"localaws takes no events from {source or 'such a source'}: queues only"
            raise AwsError("NotImplementedException", message, 501)
        name, qualifier = split_name(params["FunctionName"])
        configuration = self._configuration(name, qualifier)
        self._check(configuration, source, params)
        path = f"{name}:{qualifier}" if qualifier else name
        base = f"arn:aws:lambda:{self._aws.region}:{self._aws.account_id}"
        made = str(uuid.uuid4())
        mapping: dict[str, Any] = {
            "UUID": made,
            "EventSourceArn": source,
            "EventSourceMappingArn": f"{base}:event-source-mapping:{made}",
            "FunctionArn": f"{base}:function:{path}",
            "State": "Enabled" if params.get("Enabled", True) else "Disabled",
            "StateTransitionReason": "USER_INITIATED",
            "LastModified": time.time(),
            **{key: params.get(key) or default for key, default in _CHANGEABLE.items()},
        }
        with self._lock:
            if any(
                (one["EventSourceArn"], one["FunctionArn"]) == (source, mapping["FunctionArn"])
                for one in self._mappings.values()
            ):
                message = (
                    f'The event source arn ("{source}") and function ("{path}") provided mapping '
                    "already exists."
                )
                raise AwsError("ResourceConflictException", message, 409, {"Type": "User"})
            self._mappings[made] = mapping
            self._tags[mapping["EventSourceMappingArn"]] = dict(params.get("Tags") or {})
        self._poll(mapping)
        return wire.result(call, mapping)

    def _check(self, configuration: Mapping[str, Any], source: str, params: Any) -> None:
        """What AWS looks at before it takes messages of a queue."""
        role, name = str(configuration["Role"]), str(configuration["FunctionName"])
        most = (params.get("ScalingConfig") or {}).get("MaximumConcurrency", 2)
        if not 2 <= most <= 1000:
            raise _invalid("MaximumConcurrency must be 2 to 1000.")
        sqs = self._aws.client("sqs")
        try:
            url = sqs.get_queue_url(QueueName=source.rpartition(":")[2])["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist:
            raise _invalid(
                "Error occurred while ReceiveMessage. SQS Error Code: "
                "AWS.SimpleQueueService.NonExistentQueue."
            ) from None
        for operation in SQS_RIGHTS:
            if not self._aws.may(role, name, "sqs", operation, {"QueueUrl": url}):
                raise _invalid(
                    "The provided execution role does not have permissions to call "
                    f"{operation} on SQS"
                )
        wanted = {"QueueUrl": url, "AttributeNames": ["VisibilityTimeout"]}
        hidden = int(sqs.get_queue_attributes(**wanted)["Attributes"]["VisibilityTimeout"])
        if hidden < configuration["Timeout"]:
            raise _invalid(
                f"Queue visibility timeout: {hidden} seconds is less than Function timeout: "
                f"{configuration['Timeout']} seconds"
            )

    def _poll(self, mapping: Mapping[str, Any]) -> None:
        """Take messages as the mapping says, and as no mapping before it said."""
        with self._lock:
            before = self._pollers.pop(mapping["UUID"], None)
        if before is not None:
            before.close()
        if mapping["State"] == "Enabled":
            name, qualifier = split_name(mapping["FunctionArn"])
            role = str(self._configuration(name, qualifier)["Role"])
            poller = Poller(self._aws, dict(mapping), role, self._run)
            with self._lock:
                self._pollers[mapping["UUID"]] = poller

    def _update(self, call: Call) -> Reply:
        mapping = self._found(call)
        changed = {key: call.params[key] for key in _CHANGEABLE if key in call.params}
        if call.params.get("FunctionName"):
            name, qualifier = split_name(call.params["FunctionName"])
            self._configuration(name, qualifier)
            path = f"{name}:{qualifier}" if qualifier else name
            head = mapping["FunctionArn"].partition(":function:")[0]
            changed["FunctionArn"] = f"{head}:function:{path}"
        if "Enabled" in call.params:
            changed["State"] = "Enabled" if call.params["Enabled"] else "Disabled"
        mapping.update(changed, LastModified=time.time())
        self._poll(mapping)
        return wire.result(call, mapping)

    def _delete(self, call: Call) -> Reply:
        mapping = self._found(call)
        with self._lock:
            self._mappings.pop(mapping["UUID"], None)
            self._tags.pop(mapping["EventSourceMappingArn"], None)
            poller = self._pollers.pop(mapping["UUID"], None)
        if poller is not None:
            poller.close()
        return wire.result(call, {**mapping, "State": "Deleting"})

    def _get(self, call: Call) -> Reply:
        return wire.result(call, self._found(call))

    def _list(self, call: Call) -> Reply:
        source, function = call.params.get("EventSourceArn"), call.params.get("FunctionName")
        wanted = split_name(function) if function else None
        found = [
            one
            for one in list(self._mappings.values())
            if source in (None, one["EventSourceArn"])
            and wanted in (None, split_name(one["FunctionArn"]))
        ]
        return wire.result(call, {"EventSourceMappings": found})

    def _found(self, call: Call) -> dict[str, Any]:
        mapping = self._mappings.get(call.params["UUID"])
        if mapping is None:
            message = "The resource you requested does not exist."
            raise AwsError("ResourceNotFoundException", message, 404, {"Type": "User"})
        return mapping

    def _list_tags(self, call: Call) -> Reply:
        tags = self._tags.get(call.params["Resource"])
        return wire.result(call, ask_records(self._aws, call) if tags is None else {"Tags": tags})

    def _tag(self, call: Call) -> Reply:
        tags = self._tags.get(call.params["Resource"])
        if tags is None:
            return wire.result(call, ask_records(self._aws, call))
        tags.update(call.params["Tags"])
        return wire.result(call, {})

    def _untag(self, call: Call) -> Reply:
        tags = self._tags.get(call.params["Resource"])
        if tags is None:
            return wire.result(call, ask_records(self._aws, call))
        for key in call.params["TagKeys"]:
            tags.pop(key, None)
        return wire.result(call, {})


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, 400, {"Type": "User"})
