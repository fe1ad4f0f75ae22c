"""Data capture: a share of all requests and answers, as JSON lines in S3, like SageMaker's."""

import base64
import json
import queue
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localaws.core import Call, LocalAws
from localaws.roles import role_client

FLUSH_SECONDS = 1.0
"""SageMaker collects for a minute or two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Event:
    variant: str
    time: datetime
    line: str


class Capture:
    """Writes what one fleet is asked and answers."""

    def __init__(
        self,
        aws: LocalAws,
        endpoint: str,
        config: Mapping[str, Any],
        role_arn: str,
        on_problem: Callable[[str], None],
    ) -> None:
        """Start.

        Args:
            aws: whose S3 gets it.
            endpoint: a part of the objects' names.
            config: DataCaptureConfig.
            role_arn: the model's role, which must be allowed to write.
            on_problem: told why something could not be written.
        """
        self._aws = aws
        self._endpoint = endpoint
        self._role_arn = role_arn
        self._on_problem = on_problem
        self._percent = int(config["InitialSamplingPercentage"])
        self._modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
        types = config.get("CaptureContentTypeHeader") or {}
        self._json_types = set(types.get("JsonContentTypes") or ())
        self._csv_types = set(types.get("CsvContentTypes") or ())
        where = config["DestinationS3Uri"].removeprefix("s3://").rstrip("/")
        self._bucket, _, self._prefix = where.partition("/")
        self._seen = 0
        self._lock = threading.Lock()
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def record(self, call: Call, variant: str, answer_type: str, answer: bytes) -> None:
        """Keep one request and its answer, when it is its turn."""
        if not self._chosen():
            return
        data = {}
        if self._modes & {"Input", "InputAndOutput"}:
            kind = call.headers.get("content-type", "")
            data["endpointInput"] = {
                "observedContentType": kind,
                "mode": "INPUT",
                **self._encoded(kind, call.body),
            }
        if self._modes & {"Output", "InputAndOutput"}:
            data["endpointOutput"] = {
                "observedContentType": answer_type,
                "mode": "OUTPUT",
                **self._encoded(answer_type, answer),
            }
        now = datetime.now(UTC)
        metadata: dict[str, Any] = {"eventId": str(uuid.uuid4())}
        attributes = call.headers.get("x-amzn-sagemaker-custom-attributes")
        if attributes:
            metadata["customAttributes"] = [attributes]
        if call.headers.get("x-amzn-sagemaker-inference-id"):
            metadata["inferenceId"] = call.headers["x-amzn-sagemaker-inference-id"]
        metadata["inferenceTime"] = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        event = {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}
        self._events.put(_Event(variant=variant, time=now, line=json.dumps(event)))

    def close(self) -> None:
        """Write the rest and stop."""
        self._closed.set()
        self._thread.join(10)
        self._flush()

    def _chosen(self) -> bool:
        """Whether this request is one of the share; evenly, so that a test can count."""
        with self._lock:
            before = self._seen * self._percent // 100
            self._seen += 1
            return self._seen * self._percent // 100 > before

    def _encoded(self, content_type: str, body: bytes) -> dict[str, str]:
        kind = content_type.partition(";")[0].strip()
        try:
            if kind in self._json_types:
                return {"data": body.decode(), "encoding": "JSON"}
            if kind in self._csv_types:
                return {"data": body.decode(), "encoding": "CSV"}
        except UnicodeDecodeError:
            pass
        return {"data": base64.b64encode(body).decode(), "encoding": "BASE64"}

    def _run(self) -> None:
        while not self._closed.wait(FLUSH_SECONDS):
            self._flush()

    def _flush(self) -> None:
        hours: dict[tuple[str, str], list[_Event]] = {}
        while not self._events.empty():
            event = self._events.get()
            hours.setdefault((event.variant, f"{event.time:%Y/%m/%d/%H}"), []).append(event)
        for (variant, hour), events in hours.items():
            first = events[0].time
            name = f"{first:%M-%S}-{first.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            parts = (self._prefix, self._endpoint, variant, hour, name)
            key = "/".join(part for part in parts if part)
            body = "".join(f"{event.line}\n" for event in events)
            try:
                s3 = role_client(self._aws, "s3", self._role_arn, "SageMaker")
                s3.put_object(Bucket=self._bucket, Key=key, Body=body.encode())
            except Exception as error:
                self._on_problem(f"Data capture could not write s3://{self._bucket}/{key}: {error}")
