import base64
import io
import json
import threading
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HANDLER = """
import json, os, sys, time
print("loading")
STARTED = os.getpid()

def handle(event, context):
    what = event.get("do")
    if what == "fail":
        raise ValueError("no such dog")
    if what == "exit":
        os._exit(3)
    if what == "hang":
        time.sleep(600)
    if what == "wait":
        import boto3
        s3 = boto3.client("s3")
        s3.put_object(Bucket=event["bucket"], Key="started/" + context.aws_request_id)
        while not s3.list_objects_v2(Bucket=event["bucket"], Prefix="go")["KeyCount"]:
            time.sleep(0.02)
    if what == "environment":
        return dict(os.environ)
    if what == "context":
        names = ("function_name", "function_version", "memory_limit_in_mb", "aws_request_id",
                 "invoked_function_arn", "log_group_name", "log_stream_name")
        left = context.get_remaining_time_in_millis()
        return {**{name: getattr(context, name) for name in names}, "left": left}
    if what == "big":
        return "x" * 6_300_000
    print("handling", what)
    return {"pid": STARTED, "version": "VERSION", "event": event}
"""


def zipped(source: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", source)
    return content.getvalue()


def until(holds: Callable[[], Any]) -> Any:
    """Give another thread up to a minute."""
    pause = threading.Event()
    for _ in range(1200):
        found = holds()
        if found:
            return found
        pause.wait(0.05)
    return None


@pytest.fixture(scope="module")
def bucket(local_aws: Any) -> str:
    name = f"functions-{uuid.uuid4().hex[:8]}"
    local_aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def role(local_aws: Any) -> str:
    iam = local_aws.client("iam")
    name = f"functions-{uuid.uuid4().hex[:8]}"
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"][
        "Arn"
    ]
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": ["logs:*", "s3:PutObject", "s3:ListBucket", "sqs:*"],
            "Resource": "*",
        },
    }
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    return arn


class Function:
    """One function of a test."""

    def __init__(self, local_aws: Any, name: str) -> None:
        self.name = name
        self.client = local_aws.client("lambda")

    def __call__(self, event: Any, **more: Any) -> tuple[Any, Any]:
        reply = self.client.invoke(FunctionName=self.name, Payload=json.dumps(event), **more)
        body = reply["Payload"].read()
        return reply, json.loads(body) if body else None


@pytest.fixture
def function(local_aws: Any, bucket: str, role: str) -> Iterator[Function]:
    name = f"dogs-{uuid.uuid4().hex[:8]}"
    local_aws.client("s3").put_object(Bucket=bucket, Key=f"{name}.zip", Body=zipped(HANDLER))
    function = Function(local_aws, name)
    function.client.create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.13",
        Handler="handler.handle",
        Code={"S3Bucket": bucket, "S3Key": f"{name}.zip"},
        Timeout=20,
        MemorySize=256,
        Environment={"Variables": {"ENDPOINT_NAME": "dogs"}},
    )
    yield function
    function.client.delete_function(FunctionName=name)


def test_the_deployed_code_answers_and_its_process_is_reused(function: Function) -> None:
    reply, first = function({"n": 1})
    _, second = function({"n": 2})

    assert first["event"] == {"n": 1}
    assert first["pid"] == second["pid"]
    assert reply["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in reply


def test_the_environment_is_lambdas_own(function: Function) -> None:
    _, env = function({"do": "environment"})

    assert env["ENDPOINT_NAME"] == "dogs"
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == function.name
    assert env["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{function.name}"
    assert env["AWS_SESSION_TOKEN"]
    assert not {"AWS_PROFILE", "PYTHONPATH"} & set(env)


def test_the_context_tells_what_lambdas_tells(function: Function) -> None:
    _, context = function({"do": "context"})

    assert context["function_name"] == function.name
    assert context["memory_limit_in_mb"] == "256"
    assert context["invoked_function_arn"].endswith(f":function:{function.name}")
    assert 0 < context["left"] <= 20_000


def test_an_exception_is_reported_and_the_process_lives_on(function: Function) -> None:
    _, before = function({})
    reply, error = function({"do": "fail"})
    _, after = function({})

    assert reply["FunctionError"] == "Unhandled"
    assert error["errorType"] == "ValueError"
    assert error["errorMessage"] == "no such dog"
    assert "handler.py" in error["stackTrace"][0]
    assert before["pid"] == after["pid"]


def test_a_process_that_ends_is_replaced(function: Function) -> None:
    _, before = function({})
    reply, error = function({"do": "exit"})
    _, after = function({})

    assert reply["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in error["errorMessage"]
    assert before["pid"] != after["pid"]


def test_a_function_ends_at_its_timeout(function: Function) -> None:
    function.client.update_function_configuration(FunctionName=function.name, Timeout=1)

    reply, error = function({"do": "hang"})

    assert reply["FunctionError"] == "Unhandled"
    assert error["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert function({})[1]["event"] == {}


def test_code_that_cannot_be_imported_says_so(function: Function) -> None:
    broken = zipped("import a_module_that_is_not_there")
    function.client.update_function_code(FunctionName=function.name, ZipFile=broken)

    reply, error = function({})

    assert reply["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "a_module_that_is_not_there" in error["errorMessage"]


def test_the_tail_of_the_log_comes_with_the_reply(function: Function) -> None:
    reply, _ = function({"do": "bark"}, LogType="Tail")

    tail = base64.b64decode(reply["LogResult"]).decode().splitlines()
    assert tail[0] == "loading"
    assert tail[1].startswith("START RequestId: ")
    assert tail[2] == "handling bark"
    assert tail[3].startswith("END RequestId: ")
    assert tail[4].startswith("REPORT RequestId: ")
    assert "Memory Size: 256 MB" in tail[4]
    assert "Init Duration" in tail[4]


def test_what_it_prints_is_in_its_log_group(function: Function, local_aws: Any) -> None:
    function({"do": "bark"})
    logs = local_aws.client("logs")

    def printed() -> bool:
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}")
        except logs.exceptions.ResourceNotFoundException:
            return False
        return "handling bark" in [event["message"] for event in found["events"]]

    assert until(printed)


def test_of_six_at_once_with_five_reserved_one_is_refused(
    function: Function, bucket: str, local_aws: Any
) -> None:
    client = function.client
    s3 = local_aws.client("s3")
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=5)
    event = {"do": "wait", "bucket": bucket}
    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(function, event) for _ in range(5)]
        started = until(
            lambda: s3.list_objects_v2(Bucket=bucket, Prefix="started/")["KeyCount"] == 5
        )

        with pytest.raises(client.exceptions.TooManyRequestsException) as refused:
            function(event)
        s3.put_object(Bucket=bucket, Key="go")
        answers = [future.result() for future in running]

    assert started
    assert refused.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert len({answer["pid"] for _, answer in answers}) == 5


def test_a_hundred_executions_stay_unreserved(function: Function) -> None:
    client = function.client

    with pytest.raises(client.exceptions.InvalidParameterValueException, match="minimum value"):
        client.put_function_concurrency(
            FunctionName=function.name, ReservedConcurrentExecutions=901
        )


def test_payloads_above_six_megabytes_are_refused_both_ways(function: Function) -> None:
    with pytest.raises(function.client.exceptions.RequestTooLargeException):
        function("x" * (6 * 2**20 + 1))
    reply, error = function({"do": "big"})

    assert reply["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Function.ResponseSizeTooLarge"


def test_an_alias_keeps_its_version_when_the_code_changes(function: Function) -> None:
    client = function.client
    version = client.publish_version(FunctionName=function.name)["Version"]
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion=version)
    newer = zipped(HANDLER.replace("VERSION", "newer"))
    client.update_function_code(FunctionName=function.name, ZipFile=newer)

    reply, live = function({}, Qualifier="live")
    _, latest = function({})

    assert reply["ExecutedVersion"] == version
    assert live["version"] == "VERSION"
    assert latest["version"] == "newer"


def test_provisioned_environments_are_warm_before_the_first_request(function: Function) -> None:
    client = function.client
    version = client.publish_version(FunctionName=function.name)["Version"]
    where = {"FunctionName": function.name, "Qualifier": version}

    client.put_provisioned_concurrency_config(**where, ProvisionedConcurrentExecutions=1)
    ready = until(lambda: client.get_provisioned_concurrency_config(**where)["Status"] == "READY")
    _, env = function({"do": "environment"}, Qualifier=version)

    assert ready
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"


def test_an_event_that_keeps_failing_ends_in_the_dead_letter_queue(
    function: Function, local_aws: Any
) -> None:
    sqs = local_aws.client("sqs")
    url = sqs.create_queue(QueueName=function.name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    function.client.update_function_configuration(
        FunctionName=function.name, DeadLetterConfig={"TargetArn": arn}
    )

    reply, _ = function({"do": "fail"}, InvocationType="Event")
    letters = until(
        lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")
    )

    assert reply["StatusCode"] == 202
    assert json.loads(letters[0]["Body"]) == {"do": "fail"}
    assert letters[0]["MessageAttributes"]["ErrorMessage"]["StringValue"] == "no such dog"


def test_settings_come_back_as_they_were_given(function: Function) -> None:
    logging = {"LogFormat": "JSON", "LogGroup": "/kennel/dogs", "ApplicationLogLevel": "WARN"}
    function.client.update_function_configuration(
        FunctionName=function.name, LoggingConfig=logging, TracingConfig={"Mode": "Active"}
    )

    found = function.client.get_function_configuration(FunctionName=function.name)

    assert found["LoggingConfig"] == {**logging, "SystemLogLevel": "INFO"}
    assert found["TracingConfig"] == {"Mode": "Active"}


def test_an_unknown_function_is_named(function: Function) -> None:
    with pytest.raises(
        function.client.exceptions.ResourceNotFoundException, match="function:no-such-dog"
    ):
        function.client.invoke(FunctionName="no-such-dog")


URL_HANDLER = """
import base64, json
def handle(event, context):
    if event["rawPath"] == "/picture":
        picture = base64.b64encode(b"\\x89PNG").decode()
        return {"statusCode": 201, "headers": {"content-type": "image/png"}, "body": picture,
                "isBase64Encoded": True}
    if event["rawPath"] == "/fail":
        raise ValueError
    return event
"""


def fetch(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.headers["Content-Type"], reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_a_function_url_hands_over_the_request_and_the_answer(function: Function) -> None:
    client = function.client
    client.update_function_code(FunctionName=function.name, ZipFile=zipped(URL_HANDLER))
    client.create_function_url_config(FunctionName=function.name, AuthType="NONE")
    for action in ("InvokeFunctionUrl", "InvokeFunction"):
        client.add_permission(
            FunctionName=function.name,
            StatementId=action,
            Action=f"lambda:{action}",
            Principal="*",
        )
    url = client.get_function_url_config(FunctionName=function.name)["FunctionUrl"]

    status, _, body = fetch(f"{url}dogs?top_k=3", b"\xff\xd8", **{"Content-Type": "image/jpeg"})
    picture = fetch(f"{url}picture")
    failure = fetch(f"{url}fail")

    event = json.loads(body)
    assert status == 200
    assert event["version"] == "2.0"
    assert event["rawPath"] == "/dogs"
    assert event["queryStringParameters"] == {"top_k": "3"}
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == b"\xff\xd8"
    assert picture == (201, "image/png", b"\x89PNG")
    assert failure[0] == 502


def test_a_function_url_with_iam_refuses_who_did_not_sign(function: Function) -> None:
    client = function.client
    client.create_function_url_config(FunctionName=function.name, AuthType="AWS_IAM")
    url = client.get_function_url_config(FunctionName=function.name)["FunctionUrl"]

    status, _, _ = fetch(url)

    assert status == 403
