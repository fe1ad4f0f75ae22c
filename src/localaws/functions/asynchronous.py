"""Invocations nobody waits for: tried again when they fail, then handed to the dead-letter queue.

AWS waits one minute before the first retry and two before the second; here it is one second and
two. Destinations (OnSuccess, OnFailure) are not imitated.
"""

import json
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from localaws.core import AwsError, LocalAws
from localaws.functions.invoke import Answer, Invoker
from localaws.roles import role_client

RETRY_SECONDS = (1.0, 2.0)
THROTTLED_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long Lambda tries, as the function's event invoke configuration says."""

    retries: int = 2
    max_age_seconds: float = 6 * 3600.0


class AsyncInvoker:
    """Runs events in the background."""

    def __init__(self, aws: LocalAws, invoker: Invoker) -> None:
        self._aws = aws
        self._invoker = invoker
        self._closed = threading.Event()
        self._workers = ThreadPoolExecutor(32, thread_name_prefix="async-invoke")

    def submit(
        self,
        configuration: Mapping[str, Any],
        payload: bytes,
        function_arn: str,
        patience: Patience,
    ) -> None:
        """Run one event soon."""
        self._workers.submit(self._run, configuration, payload, function_arn, patience)

    def close(self) -> None:
        """Forget what waits."""
        self._closed.set()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _run(
        self,
        configuration: Mapping[str, Any],
        payload: bytes,
        function_arn: str,
        patience: Patience,
    ) -> None:
        request_id = str(uuid.uuid4())
        queued = time.monotonic()
        attempt = 0
        while not self._closed.is_set():
            too_old = time.monotonic() - queued > patience.max_age_seconds
            try:
                answer = self._invoker.run(
                    configuration, payload, function_arn=function_arn, request_id=request_id
                )
            except AwsError as throttled:
                if too_old:
                    failure = (str(throttled.status), throttled.message)
                    self._bury(configuration, payload, request_id, failure)
                    return
                self._closed.wait(THROTTLED_SECONDS)
                continue
            if answer.error is None:
                return
            if attempt == patience.retries or too_old:
                self._bury(configuration, payload, request_id, ("200", _message(answer)))
                return
            self._closed.wait(RETRY_SECONDS[attempt])
            attempt += 1

    def _bury(
        self,
        configuration: Mapping[str, Any],
        payload: bytes,
        request_id: str,
        failure: tuple[str, str],
    ) -> None:
        """Hand an event to the dead-letter queue or topic, with the function's own rights.

        Args:
            configuration: of the version that ran.
            payload: the event, as it came.
            request_id: of the invocation.
            failure: the HTTP status and the message of its last attempt.
        """
        target = (configuration.get("DeadLetterConfig") or {}).get("TargetArn")
        if not target:
            return
        code, message = failure
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": code},
            "ErrorMessage": {"DataType": "String", "StringValue": message[:1024]},
        }
        service = target.split(":")[2]
        name = configuration["FunctionName"]
        client = role_client(self._aws, service, configuration["Role"], name)
        try:
            if service == "sqs":
                # Lambda finds the queue by its ARN; the role need not be allowed to look for it.
                queues = self._aws.client("sqs")
                url = queues.get_queue_url(QueueName=target.rpartition(":")[2])["QueueUrl"]
                client.send_message(
                    QueueUrl=url, MessageBody=payload.decode(), MessageAttributes=attributes
                )
            else:
                client.publish(
                    TopicArn=target, Message=payload.decode(), MessageAttributes=attributes
                )
        except Exception:
            self._aws.metric("AWS/Lambda", "DeadLetterErrors", 1, "Count", {"FunctionName": name})


def _message(answer: Answer) -> str:
    return str(json.loads(answer.payload).get("errorMessage") or "unknown")
