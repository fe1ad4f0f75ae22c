"""What an alias adds to a function: weights, their metrics, dead letters of asynchronous calls."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.localaws.lambdas import HANDLER, allow, make_function, make_role, zipped
from tests.localaws.test_functions import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def role(local_aws: Any) -> str:
    return make_role(local_aws, "lambda.amazonaws.com", [])


@pytest.fixture
def shared(local_aws: Any, role: str) -> str:
    """A function whose alias gives half of its callers to version 2."""
    client, name = local_aws.client("lambda"), make_function(local_aws, role)
    newer = zipped(HANDLER + "# newer\n")
    client.update_function_code(FunctionName=name, ZipFile=newer, Publish=True)
    client.update_alias(
        FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    return name


def ask(local_aws: Any, name: str, event: dict[str, str]) -> str:
    """Invoke the alias; returns the version that answered."""
    client = local_aws.client("lambda")
    payload = json.dumps(event).encode()
    reply = client.invoke(FunctionName=name, Qualifier="live", Payload=payload)
    reply["Payload"].read()
    return str(reply["ExecutedVersion"])


def total(local_aws: Any, namespace: str, metric: str, **dimensions: str) -> float:
    """The sum of a metric in the last hour."""
    now = datetime.now(UTC)
    found = local_aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))


def test_callers_are_shared_out_by_weight_and_counted_by_version(
    local_aws: Any, shared: str
) -> None:
    answered = Counter(ask(local_aws, shared, {"do": "fail"}) for _ in range(40))

    def counted() -> bool:
        where = {"FunctionName": shared, "Resource": f"{shared}:live"}
        errors = {
            version: total(local_aws, "AWS/Lambda", "Errors", **where, ExecutedVersion=version)
            for version in ("1", "2")
        }
        return errors == answered

    assert set(answered) == {"1", "2"}
    assert until(counted)


def test_without_weights_everybody_gets_one_version_again(local_aws: Any, shared: str) -> None:
    client = local_aws.client("lambda")
    client.update_alias(FunctionName=shared, Name="live", FunctionVersion="2", RoutingConfig={})

    assert {ask(local_aws, shared, {}) for _ in range(10)} == {"2"}


@pytest.mark.parametrize(
    ("version", "additional", "complaint"),
    [("1", "1", "already"), ("$LATEST", "2", "not supported"), ("1", "9", "not found")],
)
def test_an_alias_shares_only_between_two_versions_that_exist(
    local_aws: Any, shared: str, version: str, additional: str, complaint: str
) -> None:
    client = local_aws.client("lambda")

    with pytest.raises(client.exceptions.ClientError, match=f"(?i){complaint}"):
        client.update_alias(
            FunctionName=shared,
            Name="live",
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": {additional: 0.5}},
        )


def test_warm_copies_belong_to_versions_and_fit_into_the_reservation(
    local_aws: Any, shared: str
) -> None:
    client = local_aws.client("lambda")
    client.put_function_concurrency(FunctionName=shared, ReservedConcurrentExecutions=2)

    def warm(qualifier: str, count: int) -> None:
        client.put_provisioned_concurrency_config(
            FunctionName=shared, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
        )

    with pytest.raises(client.exceptions.InvalidParameterValueException, match="weights"):
        warm("live", 1)
    warm("1", 1)
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="reserved"):
        warm("2", 2)


def test_failed_calls_stay_with_a_role_that_may_not_write_to_their_queue(
    local_aws: Any,
) -> None:
    sqs, client = local_aws.client("sqs"), local_aws.client("lambda")
    lost = make_role(local_aws, "lambda.amazonaws.com", [])
    region, account = local_aws.region, local_aws.account_id
    queue = f"letters-{lost[-8:]}"
    arn = f"arn:aws:sqs:{region}:{account}:{queue}"
    kept = make_role(
        local_aws,
        "lambda.amazonaws.com",
        [allow("sqs:SendMessage", arn)],
    )
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    names = [
        make_function(local_aws, role, DeadLetterConfig={"TargetArn": arn}) for role in (lost, kept)
    ]
    for name in names:
        client.put_function_event_invoke_config(
            FunctionName=name, Qualifier="live", MaximumRetryAttempts=0
        )
        client.invoke(
            FunctionName=name,
            Qualifier="live",
            InvocationType="Event",
            Payload=json.dumps({"do": "fail", "from": name}).encode(),
        )

    received = until(
        lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")
    )
    errors = until(
        lambda: total(local_aws, "AWS/Lambda", "DeadLetterErrors", FunctionName=names[0])
    )

    assert [json.loads(letter["Body"])["from"] for letter in received] == [names[1]]
    told = received[0]["MessageAttributes"]
    assert told["ErrorMessage"]["StringValue"] == "no such dog"
    assert told["ErrorCode"] == {"StringValue": "200", "DataType": "Number"}
    assert set(told) == {"ErrorCode", "ErrorMessage", "RequestID"}
    assert errors == 1
