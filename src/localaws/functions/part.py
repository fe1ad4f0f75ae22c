"""Lambda: moto keeps the records, real processes run the deployed zip.

Differences from AWS: memory is limited as address space with headroom (a MemoryError instead of a
killed runtime); starting up may take the function's timeout on top of AWS's ten seconds; retries
of asynchronous events wait seconds instead of minutes; destinations are not called; a batch from
a queue is ten messages at most, and is not waited for.
"""

import base64
import json
import random
import threading
from collections.abc import Mapping
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply, json_reply
from localaws.functions.aliases import Aliases
from localaws.functions.asynchronous import AsyncInvoker, Patience
from localaws.functions.code import Code
from localaws.functions.invoke import MAX_EVENT_BYTES, WEIGHTED, Invoker, encoded_tail
from localaws.functions.pool import Pool
from localaws.functions.provisioned import Provisioned
from localaws.functions.records import FunctionRecords, not_found, split_name
from localaws.functions.sources import EventSources
from localaws.functions.urls import BAD_GATEWAY, event_of, reply_of
from localaws.recorder import Recorder


class Functions:
    """The Lambda part."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._recorder = Recorder(aws)
        self._code = Code(aws)
        self._pool = Pool(aws, self._code, self._recorder)
        self._invoker = Invoker(aws, self._pool, self._recorder)
        self._async = AsyncInvoker(aws, self._invoker)
        self._records = FunctionRecords(aws, self._pool)
        self._provisioned = Provisioned(aws, self._pool, self._configuration)
        self._sources = EventSources(aws, self._configuration, self._run_batch)
        self._lock = threading.Lock()
        self._configurations: dict[tuple[str, str], dict[str, Any]] = {}
        self.handlers: Mapping[Operation, Handler] = {
            **self._records.handlers,
            **self._provisioned.handlers,
            **Aliases(aws).handlers,
            **self._sources.handlers,
            ("lambda", "Invoke"): self._invoke,
            ("lambda", "InvokeFunctionUrl"): self._invoke_url,
        }
        self.observers: Mapping[Operation, Observer] = {
            **self._records.observers,
            ("lambda", "CreateAlias"): self._changed,
            ("lambda", "CreateFunction"): self._code_changed,
            ("lambda", "DeleteAlias"): self._changed,
            ("lambda", "DeleteFunction"): self._deleted,
            ("lambda", "PublishVersion"): self._changed,
            ("lambda", "UpdateAlias"): self._changed,
            ("lambda", "UpdateFunctionCode"): self._code_changed,
            ("lambda", "UpdateFunctionConfiguration"): self._changed,
        }

    def close(self) -> None:
        """End every environment."""
        self._sources.close()
        self._async.close()
        self._provisioned.close()
        self._pool.close()
        self._recorder.close()

    def _invoke(self, call: Call) -> Reply:
        name, qualifier = split_name(call.params["FunctionName"])
        qualifier = qualifier or call.params.get("Qualifier") or ""
        kind = call.params.get("InvocationType", "RequestResponse")
        payload = call.body
        configuration = self._configuration(name, qualifier)
        arn = self._arn(name, qualifier)
        version = configuration["Version"]
        if kind == "Event":
            self._invoker.check(payload, MAX_EVENT_BYTES)
            patience = self._patience(name, qualifier)
            self._async.submit(configuration, payload or b"{}", arn, patience)
            return Reply(status=202)
        self._invoker.check(payload)
        if kind == "DryRun":
            return Reply(status=204)
        answer = self._invoker.run(
            configuration,
            payload,
            function_arn=arn,
            request_id=call.request_id,
            client_context=_client_context(call.params.get("ClientContext")),
        )
        headers = {"Content-Type": "application/json", "X-Amz-Executed-Version": version}
        if answer.error:
            headers["X-Amz-Function-Error"] = answer.error
        if call.params.get("LogType") == "Tail":
            headers["X-Amz-Log-Result"] = encoded_tail(answer)
        return Reply(headers=headers, body=answer.payload)

    def _invoke_url(self, call: Call) -> Reply:
        name, qualifier = call.params["FunctionName"], call.params.get("Qualifier") or ""
        url = self._records.urls.get((name, qualifier))
        if url is None or (url["AuthType"] == "AWS_IAM" and call.principal_arn == "anonymous"):
            reply = json_reply({"Message": "Forbidden"}, 403)
            reply.headers["x-amzn-ErrorType"] = "AccessDeniedException"
            return reply
        configuration = self._configuration(name, qualifier)
        payload = json.dumps(event_of(self._aws, call, call.params["Path"], name)).encode()
        try:
            self._invoker.check(payload)
            answer = self._invoker.run(
                configuration,
                payload,
                function_arn=self._arn(name, qualifier),
                request_id=call.request_id,
            )
        except AwsError as problem:
            members = {**problem.fields, "Message": problem.message}
            reply = json_reply(members, problem.status)
            reply.headers["x-amzn-ErrorType"] = problem.code
            return reply
        try:
            return reply_of(answer.payload, answer.error)
        except (TypeError, ValueError):
            return BAD_GATEWAY

    def _run_batch(self, function_arn: str, payload: bytes) -> bytes | None:
        """Run one event of an event source; the reply, or None when there was none."""
        configuration = self._configuration(*split_name(function_arn))
        try:
            answer = self._invoker.run(configuration, payload, function_arn=function_arn)
        except AwsError:
            return None
        return None if answer.error else answer.payload

    def _configuration(self, name: str, qualifier: str) -> dict[str, Any]:
        """The version that a qualifier stands for; kept until something changes."""
        key = (name, qualifier)
        with self._lock:
            found = self._configurations.get(key)
        if found:
            return found
        client = self._aws.client("lambda")
        try:
            target, weighted = self._routed(client, name, qualifier)
            found = client.get_function_configuration(
                FunctionName=name, **({"Qualifier": target} if target else {})
            )
        except client.exceptions.ResourceNotFoundException:
            path = f"{name}:{qualifier}" if qualifier else name
            raise not_found(self._aws, path) from None
        found = dict(found)
        found.pop("ResponseMetadata", None)
        if weighted:
            return {**found, WEIGHTED: True}
        with self._lock:
            self._configurations[key] = found
        return found

    def _routed(self, client: Any, name: str, qualifier: str) -> tuple[str, bool]:
        """The version that a request gets; an alias may send a share of them to a second one."""
        if not qualifier or qualifier == "$LATEST" or qualifier.isdigit():
            return qualifier, False
        alias = client.get_alias(FunctionName=name, Name=qualifier)
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        for version, weight in weights.items():
            if random.random() < weight:  # noqa: S311 - routing, no secret
                return str(version), True
        return str(alias["FunctionVersion"]) if weights else qualifier, bool(weights)

    def _patience(self, name: str, qualifier: str) -> Patience:
        client = self._aws.client("lambda")
        try:
            config = client.get_function_event_invoke_config(
                FunctionName=name, **({"Qualifier": qualifier} if qualifier else {})
            )
        except client.exceptions.ClientError:
            return Patience()
        usual = Patience()
        return Patience(
            retries=int(config.get("MaximumRetryAttempts", usual.retries)),
            max_age_seconds=float(config.get("MaximumEventAgeInSeconds", usual.max_age_seconds)),
        )

    def _arn(self, name: str, qualifier: str) -> str:
        arn = f"arn:aws:lambda:{self._aws.region}:{self._aws.account_id}:function:{name}"
        return f"{arn}:{qualifier}" if qualifier else arn

    def _changed(self, call: Call, reply: Reply) -> Reply:
        """Forget what is remembered, and end the environments of the old $LATEST."""
        before = self._records.observers.get((call.service, call.operation))
        reply = before(call, reply) if before else reply
        name, _ = split_name(call.params["FunctionName"])
        self._forget(name)
        if call.operation.startswith("UpdateFunction"):
            latest = f"['{name}', '$LATEST'"
            self._pool.drop(lambda held: held.key.startswith(latest))
        if call.operation == "UpdateAlias":
            self._provisioned.alias_moved(name, call.params["Name"])
        return reply

    def _code_changed(self, call: Call, reply: Reply) -> Reply:
        if not call.params.get("DryRun"):
            self._code.take(call.params.get("Code") or call.params)
        return self._changed(call, reply)

    def _deleted(self, call: Call, reply: Reply) -> Reply:
        name, qualifier = split_name(call.params["FunctionName"])
        qualifier = qualifier or call.params.get("Qualifier") or ""
        self._forget(name)
        versions = f"['{name}', '{qualifier}'" if qualifier else f"['{name}', "
        self._pool.drop(lambda held: held.key.startswith(versions))
        if not qualifier:
            self._records.forget(name)
            self._provisioned.forget(name)
        return reply

    def _forget(self, name: str) -> None:
        with self._lock:
            for key in [key for key in self._configurations if key[0] == name]:
                del self._configurations[key]


def _client_context(encoded: str | None) -> str:
    return base64.b64decode(encoded).decode() if encoded else ""
