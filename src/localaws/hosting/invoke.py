"""InvokeEndpoint: one request, to one instance, and back."""

import contextlib
import http.client
import time
from dataclasses import dataclass

from localaws.core import AwsError, Call, LocalAws, Reply
from localaws.hosting import serverless
from localaws.hosting.endpoint import Endpoint
from localaws.hosting.fleet import Fleet
from localaws.hosting.instance import Instance
from localaws.recorder import Recorder

MAX_BODY_BYTES = 6_291_456
MODEL_SECONDS = 60.0
SENT_HEADERS = {
    "content-type": "Content-Type",
    "accept": "Accept",
    "x-amzn-sagemaker-custom-attributes": "X-Amzn-SageMaker-Custom-Attributes",
    "x-amzn-sagemaker-inference-id": "X-Amzn-SageMaker-Inference-Id",
}


class _LostError(Exception):
    """The instance went away before it answered anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float
    variant: str
    fleet: Fleet


def invoke(aws: LocalAws, recorder: Recorder, endpoint: Endpoint, call: Call) -> Reply:
    """Answer one request.

    Raises:
        AwsError: ValidationError for the caller's mistakes, ModelError for what the model
            answered with an error, ServiceUnavailable when no instance is healthy.
    """
    started = time.monotonic()
    most = serverless.MAX_BODY_BYTES if endpoint.fleet.serverless else MAX_BODY_BYTES
    if len(call.body) > most:
        message = f"Body is {len(call.body)} bytes; it must be at most {most}."
        raise AwsError("ValidationError", message, 400)
    wanted = call.params.get("TargetVariant")
    names = [variant["VariantName"] for variant in endpoint.fleet.variants]
    if wanted is not None and wanted not in names:
        message = f"Variant {wanted} does not exist in endpoint {endpoint.name}."
        raise AwsError("ValidationError", message, 400)
    answer = _ask(endpoint, wanted, call, started)
    _measure(recorder, endpoint, answer, time.monotonic() - started)
    if answer.status >= 400:
        raise _model_error(aws, endpoint, answer)
    answer_type = answer.headers.get("Content-Type", "application/octet-stream")
    if answer.fleet.capture:
        answer.fleet.capture.record(call, answer.variant, answer_type, answer.body)
    headers = {
        "Content-Type": answer_type,
        "x-Amzn-Invoked-Production-Variant": answer.variant,
    }
    for name in ("X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id"):
        if name in answer.headers:
            headers[name] = str(answer.headers[name])
    return Reply(headers=headers, body=answer.body)


def _ask(endpoint: Endpoint, wanted: str | None, call: Call, started: float) -> _Answer:
    """Try until an instance answers anything, or none is healthy for too long."""
    last: Instance | None = None
    while True:
        # In short steps, for the fleet may be replaced while this request waits.
        fleet = endpoint.route()
        in_time = time.monotonic() < started + fleet.patience_seconds
        with fleet.borrow(wanted, avoid=last, wait_seconds=0.2) as instance:
            if instance is None:
                if in_time and endpoint.status != "Deleting":
                    continue
                message = f"No healthy instance of endpoint {endpoint.name} answered in time."
                raise AwsError("ServiceUnavailable", message, 503)
            try:
                return _forward(fleet, instance, call)
            except _LostError:
                if not in_time:
                    message = f"Instance {instance.id} of endpoint {endpoint.name} went away."
                    raise AwsError("ServiceUnavailable", message, 503) from None
                last = instance
                # Until its watcher has seen the death, this one would be chosen again.
                time.sleep(0.05)


def _forward(fleet: Fleet, instance: Instance, call: Call) -> _Answer:
    headers = {name: call.headers[key] for key, name in SENT_HEADERS.items() if key in call.headers}
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=MODEL_SECONDS)
    started = time.monotonic()
    with contextlib.closing(connection):
        try:
            connection.request("POST", "/invocations", call.body, headers)
            reply = connection.getresponse()
        except TimeoutError:
            return _timed_out(fleet, instance, started)
        except (OSError, http.client.HTTPException) as error:
            raise _LostError from error
        try:
            body = reply.read()
        except TimeoutError:
            return _timed_out(fleet, instance, started)
        except (OSError, http.client.HTTPException):
            return _failed(
                fleet, instance, started, 500, b"The container ended in the middle of a reply."
            )
        return _Answer(
            status=reply.status,
            headers=reply.headers,
            body=body,
            seconds=time.monotonic() - started,
            variant=instance.variant,
            fleet=fleet,
        )


def _timed_out(fleet: Fleet, instance: Instance, started: float) -> _Answer:
    message = (
        "Your invocation timed out while waiting for a response from container primary. Review "
        "the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try "
        "again."
    )
    return _failed(fleet, instance, started, 504, message.encode())


def _failed(fleet: Fleet, instance: Instance, started: float, status: int, body: bytes) -> _Answer:
    return _Answer(
        status=status,
        headers=http.client.HTTPMessage(),
        body=body,
        seconds=time.monotonic() - started,
        variant=instance.variant,
        fleet=fleet,
    )


def _model_error(aws: LocalAws, endpoint: Endpoint, answer: _Answer) -> AwsError:
    side = "client" if answer.status < 500 else "server"
    text = answer.body.decode("utf-8", "replace")
    group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
    return AwsError(
        "ModelError",
        f'Received {side} error ({answer.status}) from primary with message "{text}". See {group} '
        f"in account {aws.account_id} for more information.",
        424,
        {
            "OriginalStatusCode": answer.status,
            "OriginalMessage": text,
            "LogStreamArn": f"arn:aws:logs:{aws.region}:{aws.account_id}:log-group:{group}",
        },
    )


def _measure(recorder: Recorder, endpoint: Endpoint, answer: _Answer, seconds: float) -> None:
    dimensions = {"EndpointName": endpoint.name, "VariantName": answer.variant}
    fleets = endpoint.fleets()
    instances = sum(i.healthy for fleet in fleets for i in fleet.instances(answer.variant))
    of_config = (
        ("Invocations", 1, "Count"),
        ("Invocation4XXErrors", int(400 <= answer.status < 500), "Count"),
        ("Invocation5XXErrors", int(answer.status >= 500), "Count"),
        ("ModelLatency", 1e6 * answer.seconds, "Microseconds"),
    )
    for name, value, unit in (
        *of_config,
        ("InvocationsPerInstance", 1 / max(1, instances), "Count"),
        ("OverheadLatency", 1e6 * (seconds - answer.seconds), "Microseconds"),
    ):
        recorder.metric("AWS/SageMaker", name, value, unit, dimensions)
    # What alarms on one of two fleets see.
    dimensions = {**dimensions, "EndpointConfigName": answer.fleet.config_name}
    for name, value, unit in of_config:
        recorder.metric("AWS/SageMaker", name, value, unit, dimensions)
