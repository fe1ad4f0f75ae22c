"""What moto does not keep of functions: some settings, concurrency, function URLs, the account."""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply, json_reply
from localaws.functions.pool import Pool

KEPT = (
    "Architectures",
    "DeadLetterConfig",
    "EphemeralStorage",
    "KMSKeyArn",
    "LoggingConfig",
    "TracingConfig",
)
"""Settings that moto ignores when they are set or changed; echoed from here."""
EMPTY_DEAD_LETTER: dict[str, str] = {"TargetArn": ""}


class FunctionRecords:
    """Handlers and observers that complete moto's records."""

    def __init__(self, aws: LocalAws, pool: Pool) -> None:
        self._aws = aws
        self._pool = pool
        self._lock = threading.Lock()
        self._settings: dict[tuple[str, str], dict[str, Any]] = {}
        self.urls: dict[tuple[str, str], dict[str, Any]] = {}
        """URL configurations by function name and alias ('' for none)."""
        self.handlers: Mapping[Operation, Handler] = {
            ("lambda", "CreateFunctionUrlConfig"): self._create_url,
            ("lambda", "DeleteFunctionConcurrency"): self._delete_concurrency,
            ("lambda", "DeleteFunctionUrlConfig"): self._delete_url,
            ("lambda", "GetAccountSettings"): self._account,
            ("lambda", "GetFunctionConcurrency"): self._get_concurrency,
            ("lambda", "GetFunctionUrlConfig"): self._get_url,
            ("lambda", "ListFunctionUrlConfigs"): self._list_urls,
            ("lambda", "PutFunctionConcurrency"): self._put_concurrency,
            ("lambda", "UpdateFunctionUrlConfig"): self._update_url,
        }
        self.observers: Mapping[Operation, Observer] = {
            ("lambda", "CreateFunction"): self._set,
            ("lambda", "GetFunction"): self._complete_function,
            ("lambda", "GetFunctionConfiguration"): self._complete,
            ("lambda", "ListFunctions"): self._complete_all,
            ("lambda", "ListVersionsByFunction"): self._complete_all,
            ("lambda", "PublishVersion"): self._complete,
            ("lambda", "UpdateFunctionCode"): self._set,
            ("lambda", "UpdateFunctionConfiguration"): self._set,
        }

    def forget(self, name: str) -> None:
        """The function is deleted."""
        with self._lock:
            self._settings = {k: v for k, v in self._settings.items() if k[0] != name}
            self.urls = {k: v for k, v in self.urls.items() if k[0] != name}
            self._pool.reserved.pop(name, None)

    def _set(self, call: Call, reply: Reply) -> Reply:
        configuration = json.loads(reply.body)
        name, version = configuration["FunctionName"], configuration["Version"]
        given = {key: call.params[key] for key in KEPT if key in call.params}
        with self._lock:
            latest = self._settings.setdefault((name, "$LATEST"), {})
            latest.update(given)
            if version != "$LATEST":
                self._settings[name, version] = dict(latest)
        return self._complete(call, reply)

    def _complete(self, call: Call, reply: Reply) -> Reply:
        configuration = json.loads(reply.body)
        if call.operation == "PublishVersion":
            name, version = configuration["FunctionName"], configuration["Version"]
            with self._lock:
                latest = self._settings.get((name, "$LATEST"), {})
                self._settings.setdefault((name, version), dict(latest))
        return _with_body(reply, self._completed(configuration))

    def _complete_function(self, _call: Call, reply: Reply) -> Reply:
        function = json.loads(reply.body)
        function["Configuration"] = self._completed(function["Configuration"])
        reserved = self._pool.reserved.get(function["Configuration"]["FunctionName"])
        if reserved is not None:
            function["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
        return _with_body(reply, function)

    def _complete_all(self, _call: Call, reply: Reply) -> Reply:
        page = json.loads(reply.body)
        for key in ("Functions", "Versions"):
            if key in page:
                page[key] = [self._completed(item) for item in page[key]]
        return _with_body(reply, page)

    def _completed(self, configuration: dict[str, Any]) -> dict[str, Any]:
        name = configuration["FunctionName"]
        with self._lock:
            settings = dict(self._settings.get((name, configuration["Version"]), {}))
        if settings.get("DeadLetterConfig") == EMPTY_DEAD_LETTER:
            del settings["DeadLetterConfig"]
        logging = {
            "LogFormat": "Text",
            "LogGroup": f"/aws/lambda/{name}",
            **(settings.pop("LoggingConfig", None) or {}),
        }
        if logging["LogFormat"] == "JSON":
            logging = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", **logging}
        configuration.update(settings, LoggingConfig=logging)
        return {key: value for key, value in configuration.items() if value is not None}

    def _account(self, _call: Call) -> Reply:
        functions = self._aws.records_client("lambda").list_functions()["Functions"]
        return json_reply(
            {
                "AccountLimit": {
                    "TotalCodeSize": 80_530_636_800,
                    "CodeSizeUnzipped": 262_144_000,
                    "CodeSizeZipped": 52_428_800,
                    "ConcurrentExecutions": self._pool.account_limit,
                    "UnreservedConcurrentExecutions": self._pool.unreserved,
                },
                "AccountUsage": {
                    "TotalCodeSize": sum(function["CodeSize"] for function in functions),
                    "FunctionCount": len(functions),
                },
            }
        )

    def _put_concurrency(self, call: Call) -> Reply:
        name = self.name_of(call.params["FunctionName"])
        wanted = int(call.params["ReservedConcurrentExecutions"])
        with self._lock:
            others = sum(n for other, n in self._pool.reserved.items() if other != name)
            if self._pool.account_limit - others - wanted < self._pool.min_unreserved:
                raise AwsError(
                    "InvalidParameterValueException",
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    "UnreservedConcurrentExecution below its minimum value of "
                    f"[{self._pool.min_unreserved}].",
                )
            self._pool.reserved[name] = wanted
        return json_reply({"ReservedConcurrentExecutions": wanted})

    def _get_concurrency(self, call: Call) -> Reply:
        reserved = self._pool.reserved.get(self.name_of(call.params["FunctionName"]))
        return json_reply({} if reserved is None else {"ReservedConcurrentExecutions": reserved})

    def _delete_concurrency(self, call: Call) -> Reply:
        with self._lock:
            self._pool.reserved.pop(self.name_of(call.params["FunctionName"]), None)
        return Reply(status=204)

    def _create_url(self, call: Call) -> Reply:
        key = self._url_key(call)
        with self._lock:
            if key in self.urls:
                raise AwsError(
                    "ResourceConflictException",
                    f"Failed to create function url config for [functionArn = "
                    f"{self.urls[key]['FunctionArn']}]. Error message:  FunctionUrlConfig exists "
                    "for this Lambda function",
                    409,
                )
            name, qualifier = key
            path = name + (f":{qualifier}" if qualifier else "")
            arn = f"arn:aws:lambda:{self._aws.region}:{self._aws.account_id}:function:{path}"
            now = _now()
            self.urls[key] = {
                "FunctionUrl": f"{self._aws.url}/lambda-url/{path}/",
                "FunctionArn": arn,
                "AuthType": call.params["AuthType"],
                "CreationTime": now,
                "LastModifiedTime": now,
                "InvokeMode": call.params.get("InvokeMode", "BUFFERED"),
                **({"Cors": call.params["Cors"]} if call.params.get("Cors") else {}),
            }
            return json_reply(self.urls[key], 201)

    def _get_url(self, call: Call) -> Reply:
        return json_reply(self._url(call))

    def _update_url(self, call: Call) -> Reply:
        url = self._url(call)
        for key in ("AuthType", "Cors", "InvokeMode"):
            if call.params.get(key) is not None:
                url[key] = call.params[key]
        url["LastModifiedTime"] = _now()
        return json_reply(url)

    def _delete_url(self, call: Call) -> Reply:
        self._url(call)
        del self.urls[self._url_key(call)]
        return Reply(status=204)

    def _list_urls(self, call: Call) -> Reply:
        name = self.name_of(call.params["FunctionName"])
        return json_reply(
            {"FunctionUrlConfigs": [url for key, url in self.urls.items() if key[0] == name]}
        )

    def _url(self, call: Call) -> dict[str, Any]:
        url = self.urls.get(self._url_key(call))
        if url is None:
            message = "The resource you requested does not exist."
            raise AwsError("ResourceNotFoundException", message, 404, {"Type": "User"})
        return url

    def _url_key(self, call: Call) -> tuple[str, str]:
        name = self.name_of(call.params["FunctionName"])
        return name, call.params.get("Qualifier") or ""

    def name_of(self, name_or_arn: str) -> str:
        """The name of a function that exists.

        Raises:
            AwsError: there is none.
        """
        name, _ = split_name(name_or_arn)
        records = self._aws.records_client("lambda")
        try:
            records.get_function_configuration(FunctionName=name)
        except records.exceptions.ResourceNotFoundException:
            raise not_found(self._aws, name) from None
        return name


def split_name(name_or_arn: str) -> tuple[str, str]:
    """Name and qualifier ('' for none) of `name`, `name:qualifier` or an ARN."""
    text = name_or_arn.rpartition(":function:")[2]
    name, _, qualifier = text.partition(":")
    return name, qualifier


def not_found(aws: LocalAws, path: str) -> AwsError:
    """The error for a function, version or alias that does not exist."""
    arn = f"arn:aws:lambda:{aws.region}:{aws.account_id}:function:{path}"
    message = f"Function not found: {arn}"
    return AwsError("ResourceNotFoundException", message, 404, {"Type": "User"})


def _with_body(reply: Reply, members: Mapping[str, Any]) -> Reply:
    headers = {k: v for k, v in reply.headers.items() if k.lower() != "content-length"}
    return Reply(status=reply.status, headers=headers, body=json.dumps(members).encode())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
