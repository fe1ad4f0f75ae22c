"""HTTP APIs: moto keeps the records; requests to them are authorised, throttled and answered here.

An API `x` listens at `/execute-api/x/`. Differences from AWS: a stage serves the routes as they are
now, deployed or not; integrations are Lambda functions only (payload format 2.0), and are waited
for as long as the function may run; no authorisers but IAM, no CORS, no domain names.
"""

import json
import threading
from collections.abc import Mapping
from typing import Any

from localaws.apis.routes import Api
from localaws.apis.throttle import Bucket
from localaws.apis.visit import Visit
from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply
from localaws.functions.urls import BAD_GATEWAY, event_of, reply_of
from localaws.recorder import Recorder

CHANGES = (
    *("CreateApi", "DeleteApi", "ImportApi", "ReimportApi", "UpdateApi"),
    *("CreateIntegration", "DeleteIntegration", "UpdateIntegration"),
    *("CreateRoute", "DeleteRoute", "UpdateRoute"),
    *("CreateStage", "DeleteStage", "UpdateStage"),
)
DESCRIPTIONS = ("CreateApi", "GetApi", "GetApis", "UpdateApi")
ACCOUNT_BURST, ACCOUNT_RATE = 5000, 10_000
NO_PERMISSION = (
    "The IAM role configured on the integration or API Gateway doesn't have permissions to call "
    "the integration. Check the permissions and try again."
)


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """API Gateway answers by itself."""

    def __init__(self, status: int, message: str, why: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.why = why
        """What went wrong between API Gateway and the function."""


class HttpApis:
    """The API Gateway part."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._recorder = Recorder(aws)
        self._lock = threading.Lock()
        self._apis: dict[str, Api | None] = {}
        self._buckets: dict[tuple[str, ...], Bucket] = {}
        self.handlers: Mapping[Operation, Handler] = {("execute-api", "Invoke"): self._answer}
        self.observers: Mapping[Operation, Observer] = {
            **{("apigatewayv2", operation): self._described for operation in DESCRIPTIONS},
            **{("apigatewayv2", operation): self._changed for operation in CHANGES},
        }

    def close(self) -> None:
        """Write what waits."""
        self._recorder.close()

    def _answer(self, call: Call) -> Reply:
        api = self._api(call.params["ApiId"])
        if api is None:
            return _said(404, "Not Found", call)
        stage, path = api.stage_of(call.params["Path"])
        visit = Visit(call=call, path=path, stage=stage)
        try:
            reply = self._serve(api, visit)
        except Refused as refused:
            visit.error, visit.integration_error = refused.message, refused.why
            reply = _said(refused.status, refused.message, call)
        self._record(api, visit, reply)
        return reply

    def _serve(self, api: Api, visit: Visit) -> Reply:
        route = api.route_of(visit.method, visit.path)
        if visit.stage not in api.stages or route is None:
            raise Refused(404, "Not Found")
        visit.route_key = route["RouteKey"]
        self._let_in(api, visit, route.get("AuthorizationType") or "NONE")
        if not self._bucket(api, visit).take():
            raise Refused(429, "Too Many Requests")
        target = str(route.get("Target", "")).removeprefix("integrations/")
        return self._invoke(api, visit, api.integrations[target])

    def _let_in(self, api: Api, visit: Visit, kind: str) -> None:
        if kind == "NONE":
            return
        if kind != "AWS_IAM":
            message = f"localaws does not implement the authorisation {kind} of HTTP APIs"
            raise AwsError("NotImplementedException", message, 501)
        resource = f"{self._arn(api)}/{visit.stage}/{visit.method}{visit.path}"
        try:
            self._aws.check(visit.call, "execute-api:Invoke", resource)
        except AwsError as refusal:
            raise Refused(403, "Forbidden", refusal.message) from None

    def _bucket(self, api: Api, visit: Visit) -> Bucket:
        stage, key = api.stages[visit.stage], visit.route_key or ""
        settings = {
            **(stage.get("DefaultRouteSettings") or {}),
            **((stage.get("RouteSettings") or {}).get(key) or {}),
        }
        burst = settings.get("ThrottlingBurstLimit") or ACCOUNT_BURST
        rate = settings.get("ThrottlingRateLimit") or ACCOUNT_RATE
        with self._lock:
            return self._buckets.setdefault(
                (api.api_id, visit.stage, key, f"{burst} {rate}"), Bucket(burst=burst, rate=rate)
            )

    def _invoke(self, api: Api, visit: Visit, integration: Mapping[str, Any]) -> Reply:
        uri = str(integration.get("IntegrationUri", ""))
        function_arn = uri.rpartition("/functions/")[2].removesuffix("/invocations")
        if ":function:" not in function_arn:
            message = f"localaws does not implement the integration {uri} of HTTP APIs"
            raise AwsError("NotImplementedException", message, 501)
        method, _, path = str(visit.route_key).partition(" ")
        source = f"{self._arn(api)}/{visit.stage}/{method.replace('ANY', '*')}{path}"
        who = "apigateway.amazonaws.com"
        if not self._aws.service_may(who, "lambda:InvokeFunction", function_arn, source):
            raise Refused(500, "Internal Server Error", NO_PERMISSION)
        event = event_of(
            self._aws,
            visit.call,
            visit.call.params["Path"],
            api.api_id,
            str(visit.route_key),
            visit.stage,
        )
        client = self._aws.client("lambda")
        try:
            answer = client.invoke(FunctionName=function_arn, Payload=json.dumps(event).encode())
        except client.exceptions.TooManyRequestsException as error:
            raise Refused(503, "Service Unavailable", str(error)) from None
        except client.exceptions.RequestTooLargeException as error:
            raise Refused(413, "Request Entity Too Large", str(error)) from None
        except client.exceptions.ClientError as error:
            raise Refused(500, "Internal Server Error", str(error)) from None
        payload, failed = answer["Payload"].read(), answer.get("FunctionError")
        try:
            reply = reply_of(payload, failed)
        except (TypeError, ValueError):
            reply = BAD_GATEWAY
        if reply is BAD_GATEWAY:
            why = payload.decode(errors="replace")[:1000] if failed else "Invalid function response"
            raise Refused(500, "Internal Server Error", why)
        reply.headers["apigw-requestid"] = visit.call.request_id
        return reply

    def _record(self, api: Api, visit: Visit, reply: Reply) -> None:
        """The access log's line, and the metrics."""
        settings = (api.stages.get(visit.stage) or {}).get("AccessLogSettings") or {}
        if settings.get("DestinationArn"):
            group = settings["DestinationArn"].partition(":log-group:")[2].removesuffix(":*")
            line = visit.line(settings.get("Format", ""), reply)
            self._recorder.line(group, f"{api.api_id}-{visit.stage.strip('$')}", line)
        own = {"ApiId": api.api_id}
        failed = {"4xx": reply.status // 100 == 4, "5xx": reply.status // 100 == 5}
        for name, value in {"Count": 1, **failed}.items():
            self._recorder.metric("AWS/ApiGateway", name, float(value), "Count", own)
        latency = float(visit.milliseconds)
        self._recorder.metric("AWS/ApiGateway", "Latency", latency, "Milliseconds", own)

    def _api(self, api_id: str) -> Api | None:
        with self._lock:
            if api_id in self._apis:
                return self._apis[api_id]
        client = self._aws.records_client("apigatewayv2")
        try:
            routes = client.get_routes(ApiId=api_id)["Items"]
            integrations = client.get_integrations(ApiId=api_id)["Items"]
            stages = client.get_stages(ApiId=api_id)["Items"]
        except client.exceptions.NotFoundException:
            return None
        api = Api(
            api_id=api_id,
            integrations={item["IntegrationId"]: item for item in integrations},
            routes=routes,
            stages={item["StageName"]: item for item in stages},
        )
        with self._lock:
            self._apis[api_id] = api
        return api

    def _changed(self, call: Call, reply: Reply) -> Reply:
        with self._lock:
            self._apis.clear()
        return self._described(call, reply) if call.operation in DESCRIPTIONS else reply

    def _described(self, _call: Call, reply: Reply) -> Reply:
        """Let the address of an API lead here."""
        members = json.loads(reply.body)
        for api in members.get("items", [members]):
            api["apiEndpoint"] = f"{self._aws.url}/execute-api/{api['apiId']}"
        headers = {k: v for k, v in reply.headers.items() if k.lower() != "content-length"}
        return Reply(status=reply.status, headers=headers, body=json.dumps(members).encode())

    def _arn(self, api: Api) -> str:
        return f"arn:aws:execute-api:{self._aws.region}:{self._aws.account_id}:{api.api_id}"


def _said(status: int, message: str, call: Call) -> Reply:
    headers = {"Content-Type": "application/json", "apigw-requestid": call.request_id}
    return Reply(status=status, headers=headers, body=json.dumps({"message": message}).encode())
