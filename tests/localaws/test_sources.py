"""Queues in front of functions: what is done, what comes again, what ends as a dead letter."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError
from tests.localaws.lambdas import allow, make_function, make_role
from tests.localaws.test_functions import until

from localaws.functions.poller import failed_ids

SOURCE = """
import json
def handle(event, context):
    failures = []
    for record in event["Records"]:
        body = json.loads(record["body"])
        received = record["attributes"]["ApproximateReceiveCount"]
        print(json.dumps({"body": body, "received": received}))
        if body.get("do") == "raise":
            raise ValueError("no such dog")
        if body.get("do") == "fail":
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
"""
RIGHTS = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue with one for its dead letters."""

    url: str
    arn: str
    dead_url: str


@pytest.fixture
def queue(local_aws: Any) -> Queue:
    sqs, name = local_aws.client("sqs"), f"pictures-{uuid.uuid4().hex[:8]}"
    base = f"arn:aws:sqs:{local_aws.region}:{local_aws.account_id}"
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": f"{base}:{name}-dead", "maxReceiveCount": 2}
    attributes = {"VisibilityTimeout": "2", "RedrivePolicy": json.dumps(redrive)}
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return Queue(url=url, arn=f"{base}:{name}", dead_url=dead)


@pytest.fixture
def function(local_aws: Any, queue: Queue) -> Iterator[str]:
    """A function that may take from the queue, with an alias `live`."""
    log = allow("logs:*", "arn:aws:logs:*:*:log-group:/aws/lambda/*")
    rights = [log, *(allow(action, queue.arn) for action in RIGHTS)]
    yield from made(local_aws, make_role(local_aws, "lambda.amazonaws.com", rights))


def made(local_aws: Any, role_arn: str) -> Iterator[str]:
    client = local_aws.client("lambda")
    name = make_function(local_aws, role_arn, SOURCE, timeout_seconds=2)
    yield name
    for mapping in client.list_event_source_mappings(FunctionName=f"{name}:live")[
        "EventSourceMappings"
    ]:
        client.delete_event_source_mapping(UUID=mapping["UUID"])


def mapped(client: Any, function: str, queue: Queue, **more: Any) -> dict[str, Any]:
    reply: dict[str, Any] = client.create_event_source_mapping(
        EventSourceArn=queue.arn, FunctionName=f"{function}:live", **more
    )
    return reply


def seen(local_aws: Any, function: str) -> list[dict[str, Any]]:
    """What the function has printed."""
    logs = local_aws.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [json.loads(e["message"]) for e in events if e["message"].startswith("{")]


def waiting(sqs: Any, url: str) -> int:
    """How many messages a queue has, hidden ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


@pytest.mark.slow
def test_only_what_failed_comes_again_and_ends_as_a_dead_letter(
    local_aws: Any, function: str, queue: Queue
) -> None:
    sqs, client = local_aws.client("sqs"), local_aws.client("lambda")
    for number, do in enumerate(("nothing", "fail", "nothing")):
        body = json.dumps({"number": number, "do": do})
        sqs.send_message(QueueUrl=queue.url, MessageBody=body)

    mapped(client, function, queue, FunctionResponseTypes=["ReportBatchItemFailures"])

    assert until(lambda: waiting(sqs, queue.dead_url) == 1)
    assert waiting(sqs, queue.url) == 0
    (dead,) = sqs.receive_message(QueueUrl=queue.dead_url, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(dead["Body"])["number"] == 1
    tries = until(lambda: (lines := seen(local_aws, function)) and len(lines) == 4 and lines)
    assert sorted((line["body"]["number"], line["received"]) for line in tries) == [
        (0, "1"), (1, "1"), (1, "2"), (2, "1"),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_batch_whose_function_breaks_down_comes_again_as_a_whole(
    local_aws: Any, function: str, queue: Queue
) -> None:
    sqs, client = local_aws.client("sqs"), local_aws.client("lambda")
    entries = [
        {"Id": str(number), "MessageBody": json.dumps({"do": do})}
        for number, do in enumerate(("nothing", "raise"))
    ]
    sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)

    mapped(client, function, queue, FunctionResponseTypes=["ReportBatchItemFailures"])

    assert until(lambda: waiting(sqs, queue.dead_url) == 2)
    assert waiting(sqs, queue.url) == 0


@pytest.mark.slow
def test_a_role_that_may_not_take_messages_is_refused(local_aws: Any, queue: Queue) -> None:
    rights = [allow("sqs:ReceiveMessage", queue.arn)]
    makes = made(local_aws, make_role(local_aws, "lambda.amazonaws.com", rights))
    client, name = local_aws.client("lambda"), next(makes)

    with pytest.raises(ClientError, match="permissions to call DeleteMessage on SQS"):
        mapped(client, name, queue)

    assert list(makes) == []


@pytest.mark.slow
def test_messages_that_come_back_too_early_are_refused(
    local_aws: Any, function: str, queue: Queue
) -> None:
    attributes = {"VisibilityTimeout": "1"}
    local_aws.client("sqs").set_queue_attributes(QueueUrl=queue.url, Attributes=attributes)

    with pytest.raises(ClientError, match="1 seconds is less than Function timeout: 2 seconds"):
        mapped(local_aws.client("lambda"), function, queue)


@pytest.mark.slow
def test_a_mapping_is_kept_changed_and_removed(local_aws: Any, function: str, queue: Queue) -> None:
    client = local_aws.client("lambda")
    tags = {"project": "kennel"}

    made = mapped(client, function, queue, ScalingConfig={"MaximumConcurrency": 2}, Tags=tags)

    with pytest.raises(ClientError, match="already exists"):
        mapped(client, function, queue)
    client.update_event_source_mapping(UUID=made["UUID"], BatchSize=3, Enabled=False)
    found = client.get_event_source_mapping(UUID=made["UUID"])
    assert (found["BatchSize"], found["State"]) == (3, "Disabled")
    assert found["FunctionArn"].endswith(f":{function}:live")
    assert found["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert client.list_tags(Resource=found["EventSourceMappingArn"])["Tags"] == tags
    client.delete_event_source_mapping(UUID=made["UUID"])
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_event_source_mapping(UUID=made["UUID"])


@pytest.mark.slow
def test_a_caller_may_be_kept_to_the_mappings_of_one_function(
    local_aws: Any, function: str, queue: Queue
) -> None:
    account = f"arn:aws:iam::{local_aws.account_id}:root"
    actions = ("Create", "Delete", "Get", "Update")
    own = f"arn:aws:lambda:{local_aws.region}:{local_aws.account_id}:function:"
    role_arn = make_role(
        local_aws,
        account,
        [
            {
                "Effect": "Allow",
                "Action": [f"lambda:{action}EventSourceMapping" for action in actions],
                "Resource": "*",
                "Condition": {"ArnLike": {"lambda:FunctionArn": f"{own}{allowed}:*"}},
            }
            for allowed in (function,)
        ],
    )
    keys = local_aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="me")
    keys = keys["Credentials"]
    client = local_aws.client(
        "lambda",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )

    found = mapped(client, function, queue)
    client.update_event_source_mapping(UUID=found["UUID"], Enabled=False)

    with pytest.raises(ClientError, match="not authorized to perform: lambda:CreateEvent"):
        mapped(client, "other", queue)
    with pytest.raises(ClientError, match="not authorized to perform: lambda:DeleteEvent"):
        client.delete_event_source_mapping(UUID=str(uuid.uuid4()))
    client.delete_event_source_mapping(UUID=found["UUID"])


@pytest.mark.slow
def test_s3_tells_a_queue_only_where_its_policy_lets_it(local_aws: Any, queue: Queue) -> None:
    s3, sqs = local_aws.client("s3"), local_aws.client("sqs")
    bucket = f"pictures-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    rule = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
    one = {"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"], "Filter": rule}
    wanted = {"Bucket": bucket, "NotificationConfiguration": {"QueueConfigurations": [one]}}

    with pytest.raises(ClientError, match="Unable to validate"):
        s3.put_bucket_notification_configuration(**wanted)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": policy})
    s3.put_bucket_notification_configuration(**wanted)
    for key in ("in/a.jpg", "out/a.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"dog")

    received = sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10)["Messages"]
    bodies = [json.loads(message["Body"]) for message in received]
    assert [body.get("Event") for body in bodies] == ["s3:TestEvent", None]
    keys = [record["s3"]["object"]["key"] for record in bodies[1]["Records"]]
    assert [unquote_plus(key) for key in keys] == ["in/a.jpg"]


@pytest.mark.parametrize(
    ("reply", "failed"),
    [
        (None, {"1", "2"}),
        (b"", set()),
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "2"}]}', {"2"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "3"}]}', {"1", "2"}),
        (b'{"batchItemFailures": [{"id": "2"}]}', {"1", "2"}),
        (b'{"batchItemFailures": 1}', {"1", "2"}),
        (b"[1]", {"1", "2"}),
        (b"{", {"1", "2"}),
    ],
)
def test_a_reply_is_read_as_aws_reads_it(reply: bytes | None, failed: set[str]) -> None:
    assert failed_ids(reply, True, {"1", "2"}) == failed


def test_without_the_setting_a_reply_fails_nothing() -> None:
    reply = b'{"batchItemFailures": [{"itemIdentifier": "2"}]}'

    assert failed_ids(reply, False, {"1", "2"}) == set()
    assert failed_ids(None, False, {"1", "2"}) == {"1", "2"}
