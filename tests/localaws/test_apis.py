import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.credentials import Credentials
from tests.localaws.lambdas import allow, make_function, make_role
from tests.localaws.signing import keys_in, send
from tests.localaws.test_functions import until

from localaws.apis.routes import Api
from localaws.apis.throttle import Bucket

LOG_FORMAT = '{"status":"$context.status","route":"$context.routeKey","error":"$context.error.message","who":"$context.identity.userArn"}'  # noqa: E501 - one line in the log


@dataclass(frozen=True, kw_only=True)
class Dogs:
    """An HTTP API in front of a function."""

    aws: Any
    api_id: str
    function: str
    log_group: str
    url: str

    @property
    def arn(self) -> str:
        return f"arn:aws:execute-api:{self.aws.region}:{self.aws.account_id}:{self.api_id}"

    def ask(
        self,
        path: str = "/",
        body: bytes = b"{}",
        *,
        kind: str = "application/json",
        keys: Credentials | None = None,
        signed: bool = True,
        method: str = "POST",
    ) -> Any:
        """Send one request; the administrator signs it unless other keys are given."""
        keys = keys or keys_in(self.aws.env)
        return send(
            method,
            self.url + path,
            body,
            kind=kind,
            region=self.aws.region,
            keys=keys if signed else None,
        )


@pytest.fixture(scope="module")
def dogs(local_aws: Any) -> Dogs:
    function = make_function(local_aws, make_role(local_aws, "lambda.amazonaws.com", []))
    client = local_aws.client("apigatewayv2")
    api = client.create_api(Name=function, ProtocolType="HTTP", Tags={"stage": "test"})
    live = f"arn:aws:lambda:{local_aws.region}:{local_aws.account_id}:function:{function}:live"
    integration = client.create_integration(
        ApiId=api["ApiId"],
        IntegrationType="AWS_PROXY",
        IntegrationUri=f"arn:aws:apigateway:{local_aws.region}:lambda:path/2015-03-31/functions/{live}/invocations",
        PayloadFormatVersion="2.0",
    )
    for key in ("POST /", "POST /closed"):
        client.create_route(
            ApiId=api["ApiId"],
            AuthorizationType="AWS_IAM",
            RouteKey=key,
            Target=f"integrations/{integration['IntegrationId']}",
        )
    group = f"/apis/{function}"
    arn = f"arn:aws:logs:{local_aws.region}:{local_aws.account_id}:log-group:{group}"
    client.create_stage(
        ApiId=api["ApiId"],
        AutoDeploy=True,
        StageName="$default",
        AccessLogSettings={"DestinationArn": arn, "Format": LOG_FORMAT},
    )
    # No token comes back while a test runs.
    client.create_stage(
        ApiId=api["ApiId"],
        AutoDeploy=True,
        StageName="slow",
        DefaultRouteSettings={"ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.001},
    )
    local_aws.client("lambda").add_permission(
        FunctionName=function,
        Qualifier="live",
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{local_aws.region}:{local_aws.account_id}:{api['ApiId']}/*/POST/",
    )
    return Dogs(
        aws=local_aws,
        api_id=api["ApiId"],
        function=function,
        log_group=group,
        url=api["ApiEndpoint"],
    )


def keys_of(local_aws: Any, *statements: dict[str, Any]) -> Credentials:
    """Keys of a role that may do what the statements say."""
    account = f"arn:aws:iam::{local_aws.account_id}:root"
    role = make_role(local_aws, account, list(statements))
    made = local_aws.client("sts").assume_role(RoleArn=role, RoleSessionName="caller")
    found = made["Credentials"]
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def who(local_aws: Any, keys: Credentials) -> str:
    """Whom keys stand for."""
    sts = local_aws.client(
        "sts",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
    )
    return str(sts.get_caller_identity()["Arn"])


@pytest.mark.slow
def test_the_api_lives_at_the_local_aws(dogs: Dogs) -> None:
    described = dogs.aws.client("apigatewayv2").get_api(ApiId=dogs.api_id)

    assert described["ApiEndpoint"] == f"{dogs.aws.url}/execute-api/{dogs.api_id}"
    assert described["Tags"] == {"stage": "test"}


@pytest.mark.slow
def test_a_signed_request_reaches_the_function_and_its_answer_comes_back(dogs: Dogs) -> None:
    reply = dogs.ask("/?top_k=3", b"\xff\xd8", kind="image/jpeg")

    event = json.loads(reply.content)
    assert (reply.status_code, reply.headers["x-dog"]) == (201, "pug")
    assert event["routeKey"] == "POST /"
    assert event["queryStringParameters"] == {"top_k": "3"}
    assert base64.b64decode(event["body"]) == b"\xff\xd8"
    assert event["requestContext"]["apiId"] == dogs.api_id
    assert event["version"] == "1"


@pytest.mark.slow
def test_only_who_may_call_the_route_is_let_in(dogs: Dogs) -> None:
    stranger = keys_of(dogs.aws)
    neighbour = keys_of(dogs.aws, allow("execute-api:Invoke", f"{dogs.arn}/*/POST/other"))
    caller = keys_of(dogs.aws, allow("execute-api:Invoke", f"{dogs.arn}/$default/POST/"))

    codes = [dogs.ask(keys=keys).status_code for keys in (stranger, neighbour, caller)]

    assert codes == [403, 403, 201]
    assert dogs.ask(signed=False).status_code == 403


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), [("/cats", "POST"), ("/", "GET")])
def test_what_is_no_route_is_not_found(dogs: Dogs, path: str, method: str) -> None:
    reply = dogs.ask(path, b"", signed=False, method=method)

    assert (reply.status_code, json.loads(reply.content)) == (404, {"message": "Not Found"})


@pytest.mark.slow
def test_requests_above_the_burst_are_turned_away_before_the_function(dogs: Dogs) -> None:
    codes = [dogs.ask("/slow/").status_code for _ in range(4)]

    assert codes == [201, 201, 429, 429]


@pytest.mark.slow
def test_an_api_whose_route_the_function_does_not_let_in_says_no_more_than_500(dogs: Dogs) -> None:
    reply = dogs.ask("/closed")

    assert reply.status_code == 500
    assert json.loads(reply.content) == {"message": "Internal Server Error"}


@pytest.mark.slow
def test_a_function_that_fails_is_an_internal_error(dogs: Dogs) -> None:
    reply = dogs.ask(body=b"fail", kind="text/plain")

    assert reply.status_code == 500
    assert b"no such dog" not in reply.content


@pytest.mark.slow
def test_every_request_is_a_line_of_the_access_log(dogs: Dogs) -> None:
    caller = keys_of(dogs.aws, allow("execute-api:Invoke", f"{dogs.arn}/*"))
    refused = keys_of(dogs.aws)
    dogs.ask(keys=caller)
    dogs.ask(keys=refused)
    logs, callers = dogs.aws.client("logs"), {who(dogs.aws, caller), who(dogs.aws, refused)}

    def lines() -> list[dict[str, str]] | None:
        try:
            events = logs.filter_log_events(logGroupName=dogs.log_group)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return None
        found = [json.loads(event["message"]) for event in events]
        own = [line for line in found if line["who"] in callers]
        return own if len(own) == 2 else None

    written = until(lines)

    assert [(line["status"], line["route"], line["error"]) for line in written] == [
        ("201", "POST /", "-"),
        ("403", "POST /", "Forbidden"),
    ]


def test_a_bucket_fills_up_again_at_its_rate_and_never_above_its_burst() -> None:
    bucket = Bucket(burst=2, rate=0.5)
    begun = bucket._filled  # the clock that it started with

    taken = [bucket.take(begun + seconds) for seconds in (0, 0, 1, 2, 2, 3600, 3600, 3600)]

    assert taken == [True, True, False, True, False, True, True, False]


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/", "POST /"),
        ("GET", "/", "ANY /"),
        ("GET", "/dogs/pug", "GET /dogs/{name}"),
        ("GET", "/dogs/pug/ears", "GET /dogs/{rest+}"),
        ("PUT", "/cats", "$default"),
    ],
)
def test_the_closest_route_is_taken(method: str, path: str, route: str) -> None:
    keys = ("$default", "ANY /", "GET /dogs/{rest+}", "GET /dogs/{name}", "POST /")
    api = Api(api_id="a", integrations={}, routes=[{"RouteKey": key} for key in keys], stages={})

    found = api.route_of(method, path)

    assert found is not None
    assert found["RouteKey"] == route
