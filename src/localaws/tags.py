"""Tags of the SageMaker things that localaws keeps itself; moto keeps those of all others."""

import threading
from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

from localaws import forward, wire
from localaws.core import Call, Handler, LocalAws, Operation, Reply


class Tags:
    """Answers AddTags, ListTags and DeleteTags for every ARN, and keeps the tags of some."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._lock = threading.Lock()
        self._kept: dict[str, dict[str, str]] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("sagemaker", "AddTags"): self._add,
            ("sagemaker", "ListTags"): self._list,
            ("sagemaker", "DeleteTags"): self._delete,
        }

    def keep(self, arn: str, tags: Iterable[Mapping[str, str]] | None) -> None:
        """Keep the tags of a new thing from now on; give what its Create call was given."""
        with self._lock:
            self._kept[arn.lower()] = {tag["Key"]: tag["Value"] for tag in tags or ()}

    def forget(self, arn: str) -> None:
        """A thing is deleted."""
        with self._lock:
            self._kept.pop(arn.lower(), None)

    def _add(self, call: Call) -> Reply:
        arn, tags = call.params["ResourceArn"], call.params["Tags"]
        with self._lock:
            kept = self._kept.get(arn.lower())
            if kept is not None:
                kept |= {tag["Key"]: tag["Value"] for tag in tags}
                return wire.result(call, {"Tags": _as_list(kept)})
        return self._ask_records(call)

    def _list(self, call: Call) -> Reply:
        with self._lock:
            kept = self._kept.get(call.params["ResourceArn"].lower())
            if kept is not None:
                return wire.result(call, {"Tags": _as_list(kept)})
        return self._ask_records(call)

    def _delete(self, call: Call) -> Reply:
        with self._lock:
            kept = self._kept.get(call.params["ResourceArn"].lower())
            if kept is not None:
                for key in call.params["TagKeys"]:
                    kept.pop(key, None)
                return wire.result(call, {})
        return self._ask_records(call)

    def _ask_records(self, call: Call) -> Reply:
        return wire.result(call, forward.ask_records(self._aws, call))


_of: "WeakKeyDictionary[LocalAws, Tags]" = WeakKeyDictionary()


def tags_of(aws: LocalAws) -> Tags:
    """The one store of a local AWS."""
    return _of.setdefault(aws, Tags(aws))


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
