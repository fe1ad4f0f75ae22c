"""The real function behind a queue: pictures become results, errors or dead letters."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.inference.invoke_endpoint import Invocation, endpoint_server
from tests.localaws.lambdas import allow, make_role
from tests.localaws.test_functions import until
from tests.localaws.test_sources import waiting

from pipeline.package import package_function

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
GOOD = b'{"model_version": "0123456789ab", "predictions": [{"label": "pug", "probability": 0.9}]}'
RECEIVES = 2


@dataclass(kw_only=True)
class Model:
    """What an endpoint answers, by the name of the picture."""

    asked: Counter[str] = field(default_factory=Counter)

    def reply(self, invocation: Invocation) -> tuple[int, dict[str, str], bytes]:
        name = json.loads(invocation.body)["s3_uri"].rpartition("/")[2]
        self.asked[name] += 1
        if name == "good.jpg" or (name == "later.jpg" and self.asked[name] == RECEIVES):
            return 200, {}, GOOD
        status, code = (400, "bad_request") if name == "broken.jpg" else (503, "unavailable")
        said = json.dumps({"error": {"code": code, "message": "said by the model"}})
        members = {"OriginalStatusCode": status, "OriginalMessage": said}
        return 424, {"x-amzn-ErrorType": "ModelError"}, json.dumps(members).encode()


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A bucket that tells a queue, and the function behind it."""

    bucket: str
    function: str
    dead_url: str
    model: Model


@pytest.fixture(scope="module")
def stack(local_aws: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """As modules/lambda makes it, but for the seconds that a picture waits to be tried again."""
    name, model = f"kennel-{uuid.uuid4().hex[:8]}", Model()
    s3, sqs, client = (local_aws.client(one) for one in ("s3", "sqs", "lambda"))
    base = f"arn:aws:sqs:{local_aws.region}:{local_aws.account_id}"
    s3.create_bucket(Bucket=name)
    statement = {
        **allow("sqs:SendMessage", f"{base}:{name}-batch"),
        "Principal": {"Service": "s3.amazonaws.com"},
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{name}"}},
    }
    redrive = {
        "deadLetterTargetArn": f"{base}:{name}-batch-dead-letters",
        "maxReceiveCount": RECEIVES,
    }
    dead = sqs.create_queue(QueueName=f"{name}-batch-dead-letters")["QueueUrl"]
    sqs.create_queue(
        QueueName=f"{name}-batch",
        Attributes={
            "Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            "RedrivePolicy": json.dumps(redrive),
            "VisibilityTimeout": "10",
        },
    )
    one = {
        "QueueArn": f"{base}:{name}-batch",
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "pictures/incoming/"}]}},
    }
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"QueueConfigurations": [one]}
    )
    rights = [
        allow(f"sqs:{action}", f"{base}:{name}-batch")
        for action in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
    ]
    role_arn = make_role(
        local_aws,
        "lambda.amazonaws.com",
        [
            *rights,
            allow("s3:PutObject", f"arn:aws:s3:::{name}/results/*"),
            allow("logs:*", "arn:aws:logs:*:*:log-group:/aws/lambda/*"),
        ],
    )
    build = tmp_path_factory.mktemp("build")
    package_function(REPOSITORY, build)
    with endpoint_server(model.reply) as endpoint:
        client.create_function(
            FunctionName=name,
            Role=role_arn,
            Runtime="python3.13",
            Handler="handler.handle",
            Code={"ZipFile": (build / "function.zip").read_bytes()},
            Timeout=10,
            MemorySize=512,
            Publish=True,
            Environment={
                "Variables": {
                    "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": endpoint.url,
                    "BATCH_BUCKET": name,
                    "BATCH_PREFIX": "pictures/incoming/",
                    "BATCH_RESULTS_PREFIX": "results/",
                    "DNS_SUFFIX": "amazonaws.com",
                    "ENDPOINT_NAME": name,
                    "ENDPOINT_TIMEOUT_SECONDS": "8",
                }
            },
        )
        client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        mapping = client.create_event_source_mapping(
            EventSourceArn=f"{base}:{name}-batch",
            FunctionName=f"{name}:live",
            BatchSize=5,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            ScalingConfig={"MaximumConcurrency": 2},
        )
        for key in ("good.jpg", "broken.jpg", "later.jpg", "busy.jpg"):
            s3.put_object(Bucket=name, Key=f"pictures/incoming/{key}", Body=b"dog")
        s3.put_object(Bucket=name, Key="pictures/elsewhere/good.jpg", Body=b"dog")
        yield Stack(bucket=name, function=name, dead_url=dead, model=model)
        client.delete_event_source_mapping(UUID=mapping["UUID"])


def test_pictures_become_results_errors_and_dead_letters(local_aws: Any, stack: Stack) -> None:
    s3, sqs = local_aws.client("s3"), local_aws.client("sqs")

    # Two tries, ten seconds apart, after a start.
    assert until(lambda: stack.model.asked["busy.jpg"] == RECEIVES)
    assert until(lambda: waiting(sqs, stack.dead_url) == 1)

    (dead,) = sqs.receive_message(QueueUrl=stack.dead_url)["Messages"]
    listed = s3.list_objects_v2(Bucket=stack.bucket, Prefix="results/")["Contents"]
    results = {
        one["Key"]: json.loads(s3.get_object(Bucket=stack.bucket, Key=one["Key"])["Body"].read())
        for one in listed
    }
    assert {key: result["statusCode"] for key, result in results.items()} == {
        "results/broken.jpg.json": 400,
        "results/good.jpg.json": 200,
        "results/later.jpg.json": 200,
    }
    assert results["results/good.jpg.json"]["body"] == json.loads(GOOD)
    assert results["results/broken.jpg.json"]["body"]["error"]["code"] == "bad_request"
    assert "busy.jpg" in dead["Body"]
    assert stack.model.asked == Counter(
        {"good.jpg": 1, "broken.jpg": 1, "later.jpg": RECEIVES, "busy.jpg": RECEIVES}
    )


def test_the_log_counts_them(local_aws: Any, stack: Stack) -> None:
    cloudwatch = local_aws.client("cloudwatch")

    def codes() -> set[str]:
        found = cloudwatch.list_metrics(
            Namespace="Kennel",
            MetricName="Errors",
            Dimensions=[{"Name": "FunctionName", "Value": stack.function}, {"Name": "Code"}],
        )["Metrics"]
        pairs = [{one["Name"]: one["Value"] for one in each["Dimensions"]} for each in found]
        return {pair["Code"] for pair in pairs if pair["FunctionName"] == stack.function}

    assert until(lambda: codes() == {"bad_request", "unavailable"})
