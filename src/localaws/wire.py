"""The protocols of AWS: which call a request is, and how results and errors are written.

All of it follows the public service models that botocore carries, through moto's router,
parsers and serializers.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from localaws.core import AwsError, Call, Reply
from localaws.web import HttpRequest

# Where the name in a signature is not the name of the service model.
_SERVICE_OF_SIGNING_NAME = {
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
    "elasticloadbalancing": "elbv2",
    "elasticfilesystem": "efs",
    "states": "stepfunctions",
    "email": "ses",
}
_SERVICE_OF_TARGET = {
    "AnyScaleFrontendService": "application-autoscaling",
    "SageMaker": "sagemaker",
    "SageMakerMetricsService": "sagemaker-metrics",
}
_JSON = "application/x-amz-json-1.1"


def service_of(signing_name: str, request: HttpRequest) -> str:
    """Name of the botocore service model that a signed request is for."""
    target = request.headers.get("x-amz-target", "").split(".")[0]
    if target in _SERVICE_OF_TARGET:
        return _SERVICE_OF_TARGET[target]
    if signing_name == "sagemaker":
        return "sagemaker-metrics" if "BatchPutMetrics" in request.path else "sagemaker-runtime"
    if signing_name == "apigateway" and request.path.startswith("/v2/"):
        return "apigatewayv2"
    if signing_name == "s3" and (
        request.path.startswith("/v20180820/") or "x-amz-account-id" in request.headers
    ):
        return "s3control"
    return _SERVICE_OF_SIGNING_NAME.get(signing_name, signing_name)


def understand(service: str, request: HttpRequest) -> tuple[str, dict[str, Any]]:
    """Operation and parameters of a request.

    Raises:
        AwsError: the service or the call is not one of AWS.
    """
    from moto.core.parse import PROTOCOL_PARSERS
    from werkzeug.datastructures import Headers, MultiDict
    from werkzeug.exceptions import HTTPException

    model = _model(service)
    protocol = protocol_of(service, request.headers)
    try:
        operation, uri_params = _router(service, protocol).match(_moto_request(request))
    except HTTPException:
        asked = request.headers.get("x-amz-target") or f"{request.method} {request.path}"
        raise AwsError("UnknownOperationException", f"{service} has no call {asked}.") from None
    values = MultiDict(parse_qsl(request.query, keep_blank_values=True))
    if protocol in ("query", "ec2"):
        values.update(parse_qsl(request.body.decode(), keep_blank_values=True))
    try:
        params = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": values,
                "headers": Headers(list(request.headers.items())),
                "body": b"" if _has_raw_body(operation) else request.body,
                "url_path": request.path,
                "url_params": uri_params,
            }
        )
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        message = f"{model.service_name} {operation.name}: the request cannot be read ({error})."
        raise AwsError("SerializationException", message) from None
    return str(operation.name), {k: v for k, v in params.items() if v is not None}


def protocol_of(service: str, headers: Mapping[str, str]) -> str:
    """json, query, ec2, rest-json or rest-xml."""
    protocols: list[str] = _model(service).metadata.get("protocols") or [_model(service).protocol]
    if protocols[0].startswith("rest"):
        return protocols[0]
    if "x-amz-target" in headers:
        return "json"
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return "ec2" if "ec2" in protocols else "query"
    return next(p for p in protocols if not p.startswith("smithy"))


def result(call: Call, members: Mapping[str, Any]) -> Reply:
    """Write an operation's result, members named as boto3 names them, in its own protocol."""
    from moto.core.serialize import SerializationContext, get_serializer_class

    operation = _model(call.service).operation_model(call.operation)
    serializer = get_serializer_class(call.service, protocol_of(call.service, call.headers))
    written = serializer(operation, context=SerializationContext(call.request_id)).serialize(
        dict(members)
    )
    body = written["body"]
    return Reply(
        status=written["status_code"],
        headers={str(k): str(v) for k, v in written["headers"].items()},
        body=body if isinstance(body, bytes) else body.encode(),
    )


def read_result(call: Call, reply: Reply) -> dict[str, Any]:
    """Read a reply, as boto3 would."""
    from botocore.parsers import create_parser

    protocol = protocol_of(call.service, call.headers)
    response = {"status_code": reply.status, "headers": reply.headers, "body": reply.body}
    shape = _model(call.service).operation_model(call.operation).output_shape
    parsed: dict[str, Any] = create_parser(protocol).parse(response, shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


def error(service: str, request: HttpRequest, problem: AwsError, request_id: str) -> Reply:
    """Write an error in the protocol of the service."""
    try:
        protocol = protocol_of(service, request.headers)
    except AwsError:
        protocol = "json"
    headers = {"x-amzn-RequestId": request_id}
    if "json" in protocol:
        members = {
            "__type": problem.code,
            "message": problem.message,
            "Message": problem.message,
            **problem.fields,
        }
        headers |= {"Content-Type": _JSON, "x-amzn-ErrorType": problem.code}
        return Reply(status=problem.status, headers=headers, body=json.dumps(members).encode())
    code, message = escape(problem.code), escape(problem.message)
    kind = "Sender" if problem.status < 500 else "Receiver"
    if service == "s3":
        text = (
            f"<Error><Code>{code}</Code><Message>{message}</Message>"
            f"<Resource>{escape(request.path)}</Resource><RequestId>{request_id}</RequestId></Error>"
        )
    elif protocol == "ec2":
        text = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            f"</Errors><RequestID>{request_id}</RequestID></Response>"
        )
    else:
        text = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code>"
            f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId>"
            "</ErrorResponse>"
        )
    headers["Content-Type"] = "application/xml"
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()
    return Reply(status=problem.status, headers=headers, body=body)


@functools.cache
def _model(service: str) -> Any:
    from botocore.exceptions import UnknownServiceError
    from moto.core.utils import get_service_model

    try:
        return get_service_model(service)
    except UnknownServiceError:
        message = f"The signature names the service {service!r}; AWS has none of that name."
        raise AwsError("UnrecognizedClientException", message, 403) from None


@functools.cache
def _router(service: str, protocol: str) -> Any:
    from moto.core.routing import get_router_class

    router = get_router_class(service, protocol)
    if router is None:
        raise AwsError("UnknownOperationException", f"localaws does not speak {protocol}.", 501)
    return router(_model(service))


def _moto_request(request: HttpRequest) -> Any:
    from moto.core.request import Request

    host = request.headers.get("host", "127.0.0.1")
    url = f"http://{host}{request.path}" + (f"?{request.query}" if request.query else "")
    body = request.body if "form-urlencoded" in request.headers.get("content-type", "") else b""
    found = Request.from_primitives(request.method, url, dict(request.headers), body)
    found.environ["RAW_URI"] = request.path
    return found


def _has_raw_body(operation: Any) -> bool:
    shape = operation.input_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    return payload is not None and shape.members[payload].type_name in ("blob", "string")
