"""What runs inside an execution environment: Lambda's Python runtime; standard library only.

Started by path, in the environment that AWS documents. It loads the handler, then asks the
Runtime API for one event after the other and posts the answers.
"""

import datetime
import http.client
import importlib
import json
import logging
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any

API = "/2018-06-01/runtime"
MARK = "\x00end"
"""Printed after a handler's own output, so that the reader of the log knows it has it all."""


class Context:
    """The second argument of a handler."""

    def __init__(self, headers: Any) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        client = json.loads(headers.get("Lambda-Runtime-Client-Context") or "null")
        self.client_context = client and SimpleNamespace(**client)
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is ended."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


class LogLine(logging.Formatter):
    """Lambda's own shape of a log record, as text or JSON."""

    request_id = ""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        when = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        stamp = when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
        failure = self.formatException(record.exc_info) if record.exc_info else ""
        if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
            line = {
                "timestamp": stamp,
                "level": record.levelname,
                "message": record.getMessage(),
                "logger": record.name,
                "requestId": self.request_id,
            }
            return json.dumps({**line, "exception": failure} if failure else line)
        text = f"[{record.levelname}]\t{stamp}\t{self.request_id}\t{record.getMessage()}"
        return f"{text}\n{failure}" if failure else text


def failure(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> Any:
    """What AWS answers for an exception that the handler let go."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if frame.filename != __file__]
    return {
        "errorMessage": str(error),
        "errorType": kind.__name__,
        "stackTrace": traceback.format_list(own),
    }


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    """One POST to the Runtime API."""
    connection.request("POST", API + path, body, {"Content-Type": "application/json"})
    connection.getresponse().read()


def load() -> Callable[[Any, Context], Any]:
    """Import the handler that _HANDLER names.

    Raises:
        ImportError: the setting does not name a callable of a module.
    """
    setting = os.environ["_HANDLER"]
    module_name, dot, name = setting.rpartition(".")
    if not dot:
        raise ImportError(f"Bad handler '{setting}': it must be module.function")
    module = importlib.import_module(module_name.replace("/", "."))
    if not hasattr(module, name):
        raise ImportError(f"Handler '{name}' missing on module '{module_name}'")
    handler: Callable[[Any, Context], Any] = getattr(module, name)
    return handler


def finish(request_id: str) -> None:
    """Say that the output so far is complete, and how much memory was used at most."""
    sys.stderr.flush()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kilobytes = used if sys.platform != "darwin" else used // 1024
    sys.stdout.write(f"{MARK} {request_id} {kilobytes}\n")
    sys.stdout.flush()


def serve(
    connection: http.client.HTTPConnection,
    handler: Callable[[Any, Context], Any],
    formatter: LogLine,
) -> None:
    """Answer one event."""
    connection.request("GET", f"{API}/invocation/next")
    reply = connection.getresponse()
    payload = reply.read()
    context = Context(reply.headers)
    formatter.request_id = context.aws_request_id
    os.environ["_X_AMZN_TRACE_ID"] = reply.headers["Lambda-Runtime-Trace-Id"]
    path = f"/invocation/{context.aws_request_id}"
    try:
        result = handler(json.loads(payload or b"null"), context)
        try:
            body = json.dumps(result, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            raise TypeError(f"Unable to marshal response: {error}") from None
    except Exception as error:
        shape = failure(type(error), error, error.__traceback__)
        shape["requestId"] = context.aws_request_id
        report = f"[ERROR] {shape['errorType']}: {error}\nTraceback (most recent call last):\n"
        sys.stdout.write(report + "".join(shape["stackTrace"]) + "\n")
        finish(context.aws_request_id)
        post(connection, f"{path}/error", json.dumps(shape).encode())
    else:
        finish(context.aws_request_id)
        post(connection, f"{path}/response", body)


def main() -> int:
    """Serve until the environment is ended."""
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    formatter = LogLine()
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(formatter)
    logging.basicConfig(handlers=[output], level=os.environ.get("AWS_LAMBDA_LOG_LEVEL", "WARNING"))
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = load()
    except BaseException as error:
        shape = failure(type(error), error, error.__traceback__)
        if isinstance(error, ImportError):
            shape["errorType"] = "Runtime.ImportModuleError"
            shape["errorMessage"] = (
                f"Unable to import module '{os.environ['_HANDLER'].rpartition('.')[0]}': {error}"
            )
        print(f"[ERROR] {shape['errorType']}: {shape['errorMessage']}", flush=True)  # noqa: T201
        post(connection, "/init/error", json.dumps(shape).encode())
        return 1
    finish("init")
    while True:
        serve(connection, handler, formatter)


if __name__ == "__main__":
    sys.exit(main())
