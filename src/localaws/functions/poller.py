"""Takes messages from one queue to a function, and deletes those that it is done with."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localaws.core import LocalAws
from localaws.roles import role_client

POLL_SECONDS = 2
"""How long one look into a queue waits for a message."""
IDLE_SECONDS = 0.25
"""Between two looks that found nothing."""
CREDENTIALS_SECONDS = 1800.0
USUAL_CONCURRENCY = 5
MAX_RECEIVED = 10
"""SQS's own limit for one call."""


class Poller:
    """One thread that receives, and as many that invoke as the mapping allows."""

    def __init__(
        self,
        aws: LocalAws,
        mapping: Mapping[str, Any],
        role_arn: str,
        run: Callable[[str, bytes], bytes | None],
    ) -> None:
        self._aws = aws
        self._mapping = mapping
        self._role_arn = role_arn
        self._run = run
        self._closed = threading.Event()
        most = (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency", USUAL_CONCURRENCY)
        self._free = threading.Semaphore(most)
        self._workers = ThreadPoolExecutor(most, thread_name_prefix="event-source")
        self._thread = threading.Thread(target=self._poll, name="event-source", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more messages; those that are being answered come back if nobody deletes them."""
        self._closed.set()
        self._thread.join(10)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _poll(self) -> None:
        while not self._closed.is_set():
            queue = _Queue(self._aws, self._mapping["EventSourceArn"], self._role_arn)
            renewed = time.monotonic() + CREDENTIALS_SECONDS
            while time.monotonic() < renewed and not self._closed.is_set():
                if not self._take(queue):
                    self._closed.wait(IDLE_SECONDS)

    def _take(self, queue: "_Queue") -> bool:
        """Start one batch; whether there was anything."""
        if not self._free.acquire(timeout=IDLE_SECONDS):
            return True
        messages: list[dict[str, Any]] = []
        try:
            # The queue may be gone, or the role's rights; both may come back.
            with contextlib.suppress(Exception):
                messages = queue.receive(min(self._mapping["BatchSize"], MAX_RECEIVED))
            if messages:
                self._workers.submit(self._answer, queue, messages)
        finally:
            if not messages:
                self._free.release()
        return bool(messages)

    def _answer(self, queue: "_Queue", messages: list[dict[str, Any]]) -> None:
        try:
            event = {"Records": [queue.record(message) for message in messages]}
            reply = self._run(self._mapping["FunctionArn"], json.dumps(event).encode())
            partly = "ReportBatchItemFailures" in self._mapping["FunctionResponseTypes"]
            failed = failed_ids(reply, partly, {message["MessageId"] for message in messages})
            queue.delete([one for one in messages if one["MessageId"] not in failed])
        finally:
            self._free.release()


class _Queue:
    """A queue with the rights of the function's role."""

    def __init__(self, aws: LocalAws, arn: str, role_arn: str) -> None:
        self._arn = arn
        self._region = aws.region
        self._sqs = role_client(aws, "sqs", role_arn, "event-source")
        self._finder = aws.client("sqs")

    def receive(self, most: int) -> list[dict[str, Any]]:
        received = self._sqs.receive_message(
            QueueUrl=self._url(),
            MaxNumberOfMessages=most,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
            WaitTimeSeconds=POLL_SECONDS,
        )
        return list(received.get("Messages") or [])

    def record(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A message as functions get it."""
        attributes = {
            name: {
                "stringValue": value.get("StringValue"),
                "dataType": value["DataType"],
                "stringListValues": [],
                "binaryListValues": [],
            }
            for name, value in (message.get("MessageAttributes") or {}).items()
        }
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes") or {},
            "messageAttributes": attributes,
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": self._region,
        }

    def delete(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            # It comes again where this fails, as on AWS.
            with contextlib.suppress(Exception):
                self._sqs.delete_message(
                    QueueUrl=self._url(), ReceiptHandle=message["ReceiptHandle"]
                )

    def _url(self) -> str:
        """Lambda finds the queue by its ARN; the role need not be allowed to look for it."""
        name = self._arn.rpartition(":")[2]
        return str(self._finder.get_queue_url(QueueName=name)["QueueUrl"])


def failed_ids(reply: bytes | None, partly: bool, sent: set[str]) -> set[str]:
    """The messages that are to come again.

    Args:
        reply: of the function; None when it failed.
        partly: whether the reply says which messages failed.
        sent: ids of all messages of the batch.
    """
    if reply is None:
        return sent
    if not partly:
        return set()
    try:
        found = json.loads(reply or b"null")
        failures = (found or {}).get("batchItemFailures") or []
        ids = {str(failure["itemIdentifier"]) for failure in failures}
    except (ValueError, KeyError, TypeError, AttributeError):
        return sent
    return ids if ids <= sent else sent
