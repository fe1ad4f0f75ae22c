"""Lambda: who may call a function besides whose own policies say so, kept by alias or version."""

import json
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply

_CONDITIONS = {
    "EventSourceToken": ("StringEquals", "lambda:EventSourceToken"),
    "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
    "InvokedViaFunctionUrl": ("Bool", "lambda:InvokedViaFunctionUrl"),
    "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
    "SourceAccount": ("StringEquals", "AWS:SourceAccount"),
    "SourceArn": ("ArnLike", "AWS:SourceArn"),
}


class FunctionPermissions:
    """Answers AddPermission, RemovePermission and GetPolicy."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._lock = threading.Lock()
        self._statements: dict[str, list[dict[str, Any]]] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("lambda", "AddPermission"): self._add,
            ("lambda", "GetPolicy"): self._get,
            ("lambda", "RemovePermission"): self._remove,
        }
        self.observers: Mapping[Operation, Observer] = {
            ("lambda", "DeleteAlias"): self._forget,
            ("lambda", "DeleteFunction"): self._forget,
        }

    def of_arn(self, arn: str) -> Mapping[str, Any] | None:
        """The policy of a function, alias or version."""
        statements = self._statements.get(arn)
        return None if not statements else _policy(statements)

    def function_url_auth_type(self, name: str, qualifier: str | None) -> str:
        """AWS_IAM or NONE."""
        lambda_ = self._aws.client("lambda")
        members = {"Qualifier": qualifier} if qualifier else {}
        try:
            config = lambda_.get_function_url_config(FunctionName=name, **members)
        except lambda_.exceptions.ClientError:
            return "AWS_IAM"
        return str(config["AuthType"])

    def _add(self, call: Call) -> Reply:
        params, arn = call.params, self._arn(call)
        statement: dict[str, Any] = {
            "Sid": params["StatementId"],
            "Effect": "Allow",
            "Principal": _principal(str(params["Principal"])),
            "Action": params["Action"],
            "Resource": arn,
        }
        conditions: dict[str, dict[str, str]] = {}
        for member, (operator, key) in _CONDITIONS.items():
            if params.get(member) is not None:
                value = params[member]
                text = str(value).lower() if isinstance(value, bool) else str(value)
                conditions.setdefault(operator, {})[key] = text
        if conditions:
            statement["Condition"] = conditions
        with self._lock:
            statements = self._statements.setdefault(arn, [])
            if any(one["Sid"] == statement["Sid"] for one in statements):
                message = (
                    f"The statement id ({statement['Sid']}) provided already exists. Please "
                    "provide a new statement id, or remove the existing statement."
                )
                raise AwsError("ResourceConflictException", message, 409)
            statements.append(statement)
        return wire.result(call, {"Statement": json.dumps(statement)})

    def _get(self, call: Call) -> Reply:
        arn = self._arn(call)
        policy = self.of_arn(arn)
        if policy is None:
            raise _not_found("The resource you requested does not exist.")
        revision = str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(policy)))
        return wire.result(call, {"Policy": json.dumps(policy), "RevisionId": revision})

    def _remove(self, call: Call) -> Reply:
        arn, sid = self._arn(call), call.params["StatementId"]
        with self._lock:
            statements = self._statements.get(arn, [])
            kept = [one for one in statements if one["Sid"] != sid]
            if len(kept) == len(statements):
                raise _not_found(f"Statement {sid} is not found in resource policy.")
            self._statements[arn] = kept
        return Reply(status=204)

    def _forget(self, call: Call, reply: Reply) -> Reply:
        name = _short(call.params["FunctionName"])
        gone = call.params.get("Qualifier") or (
            call.params["Name"] if call.operation == "DeleteAlias" else None
        )
        arn = self._function_arn(name) + (f":{gone}" if gone else "")
        with self._lock:
            for key in [key for key in self._statements if f"{key}:".startswith(f"{arn}:")]:
                del self._statements[key]
        return reply

    def _arn(self, call: Call) -> str:
        name, qualifier = _short(call.params["FunctionName"]), call.params.get("Qualifier")
        lambda_ = self._aws.records_client("lambda")
        members = {"Qualifier": qualifier} if qualifier else {}
        arn = self._function_arn(name) + (f":{qualifier}" if qualifier else "")
        try:
            lambda_.get_function_configuration(FunctionName=name, **members)
        except lambda_.exceptions.ClientError:
            raise _not_found(f"Function not found: {arn}") from None
        return arn

    def _function_arn(self, name: str) -> str:
        return f"arn:aws:lambda:{self._aws.region}:{self._aws.account_id}:function:{name}"


def _policy(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Id": "default", "Statement": statements}


def _short(name: str) -> str:
    return str(name).rpartition(":function:")[2].split(":")[0]


def _principal(text: str) -> Any:
    if text == "*":
        return "*"
    if text.isdigit():
        return {"AWS": f"arn:aws:iam::{text}:root"}  # AWS writes an account's number out like this
    return {"AWS": text} if text.startswith("arn:") else {"Service": text}


def _not_found(message: str) -> AwsError:
    return AwsError("ResourceNotFoundException", message, 404)
