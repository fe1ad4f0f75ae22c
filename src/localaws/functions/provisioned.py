"""Provisioned concurrency: environments that are started before anybody asks for them."""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply, json_reply
from localaws.functions.pool import Pool, key_of
from localaws.functions.records import split_name

Configure = Callable[[str, str], dict[str, Any]]


class Provisioned:
    """Records by function name and qualifier."""

    def __init__(self, aws: LocalAws, pool: Pool, configure: Configure) -> None:
        self._aws = aws
        self._pool = pool
        self._configure = configure
        self._records: dict[tuple[str, str], dict[str, Any]] = {}
        self._threads: list[threading.Thread] = []
        self.handlers: Mapping[Operation, Handler] = {
            ("lambda", "DeleteProvisionedConcurrencyConfig"): self._delete,
            ("lambda", "GetProvisionedConcurrencyConfig"): self._get,
            ("lambda", "ListProvisionedConcurrencyConfigs"): self._list,
            ("lambda", "PutProvisionedConcurrencyConfig"): self._put,
        }

    def alias_moved(self, name: str, alias: str) -> None:
        """Warm up the version that the alias means now."""
        record = self._records.get((name, alias))
        if record:
            keys = [key for key in self._records if key[0] == name]
            wanted = {key_of(self._configure(*key)) for key in keys}
            own = f"['{name}', "
            self._pool.drop(
                lambda held: (
                    held.provisioned and held.key.startswith(own) and held.key not in wanted
                )
            )
            self._begin(name, alias, record)

    def forget(self, name: str) -> None:
        """The function is deleted."""
        self._records = {key: r for key, r in self._records.items() if key[0] != name}

    def close(self) -> None:
        """Wait for what is being started."""
        for thread in self._threads:
            thread.join(10)

    def _put(self, call: Call) -> Reply:
        name, _ = split_name(call.params["FunctionName"])
        qualifier = call.params["Qualifier"]
        if qualifier == "$LATEST":
            raise AwsError(
                "InvalidParameterValueException",
                "Provisioned Concurrency Configs cannot be applied to unpublished function "
                "versions.",
            )
        count = int(call.params["ProvisionedConcurrentExecutions"])
        self._refuse_weights(name, qualifier)
        reserved = self._pool.reserved.get(name)
        others = sum(
            record["RequestedProvisionedConcurrentExecutions"]
            for key, record in self._records.items()
            if key[0] == name and key[1] != qualifier
        )
        if reserved is not None and others + count > reserved:
            raise AwsError(
                "InvalidParameterValueException",
                "Requested Provisioned Concurrency should not be greater than the "
                "reservedConcurrentExecution for function",
            )
        record = {"RequestedProvisionedConcurrentExecutions": count}
        self._records[name, qualifier] = record
        self._begin(name, qualifier, record)
        return json_reply(record, 202)

    def _refuse_weights(self, name: str, qualifier: str) -> None:
        if qualifier.isdigit():
            return
        alias = self._aws.client("lambda").get_alias(FunctionName=name, Name=qualifier)
        if (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
            raise AwsError(
                "InvalidParameterValueException",
                "Alias with weights can not be used with Provisioned Concurrency",
            )

    def _begin(self, name: str, qualifier: str, record: dict[str, Any]) -> None:
        configuration = self._configure(name, qualifier)
        record.update(
            AllocatedProvisionedConcurrentExecutions=0,
            AvailableProvisionedConcurrentExecutions=0,
            LastModified=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
            Status="IN_PROGRESS",
        )
        record.pop("StatusReason", None)
        thread = threading.Thread(
            target=self._start, args=(configuration, record), name="provision", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _start(self, configuration: dict[str, Any], record: dict[str, Any]) -> None:
        count = record["RequestedProvisionedConcurrentExecutions"]
        try:
            self._pool.provision(configuration, count)
        except AwsError as problem:
            record.update(Status="FAILED", StatusReason=f"{problem.code}: {problem.message}")
            return
        record.update(
            AllocatedProvisionedConcurrentExecutions=count,
            AvailableProvisionedConcurrentExecutions=count,
            Status="READY",
        )

    def _get(self, call: Call) -> Reply:
        return json_reply(self._found(call)[1])

    def _delete(self, call: Call) -> Reply:
        key, _ = self._found(call)
        del self._records[key]
        wanted = key_of(self._configure(*key))
        self._pool.drop(lambda held: held.provisioned and held.key == wanted)
        return Reply(status=204)

    def _list(self, call: Call) -> Reply:
        name, _ = split_name(call.params["FunctionName"])
        prefix = f"arn:aws:lambda:{self._aws.region}:{self._aws.account_id}:function:"
        found = [
            {**record, "FunctionArn": f"{prefix}{key[0]}:{key[1]}"}
            for key, record in self._records.items()
            if key[0] == name
        ]
        return json_reply({"ProvisionedConcurrencyConfigs": found})

    def _found(self, call: Call) -> tuple[tuple[str, str], dict[str, Any]]:
        key = (split_name(call.params["FunctionName"])[0], call.params["Qualifier"])
        if key not in self._records:
            raise AwsError(
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function",
                404,
            )
        return key, self._records[key]
