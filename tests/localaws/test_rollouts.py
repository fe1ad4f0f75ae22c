"""How a new model takes over, and back; and what is kept of what it is asked."""

import base64
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.localaws.test_hosting import Stage, until

pytestmark = pytest.mark.slow

HOUR = 3600
"""So long that only an alarm ends it."""
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::*/capture/*"},
    ],
}


class Rollouts(Stage):
    """One endpoint and the alarm that watches it."""

    def __init__(self, local_aws: Any) -> None:
        super().__init__(local_aws)
        self.cloudwatch = local_aws.client("cloudwatch")
        self.alarm = f"rollback-{uuid.uuid4().hex[:8]}"
        local_aws.client("iam").put_role_policy(
            RoleName=self.role.rpartition("/")[2],
            PolicyName="more",
            PolicyDocument=json.dumps(POLICY),
        )

    def watch(self, endpoint: str, config: str) -> None:
        dimensions = {
            "EndpointName": endpoint,
            "VariantName": "live",
            "EndpointConfigName": config,
        }
        self.cloudwatch.put_metric_alarm(
            AlarmName=self.alarm,
            ComparisonOperator="GreaterThanThreshold",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            EvaluationPeriods=1,
            MetricName="Invocation5XXErrors",
            Namespace="AWS/SageMaker",
            Period=60,
            Statistic="Sum",
            Threshold=0,
            TreatMissingData="notBreaching",
        )

    def ring(self) -> None:
        self.cloudwatch.set_alarm_state(
            AlarmName=self.alarm, StateValue="ALARM", StateReason="A drill."
        )

    def update(self, endpoint: str, config: str, **policies: Any) -> None:
        self.watch(endpoint, config)
        alarms = {"Alarms": [{"AlarmName": self.alarm}]}
        self.sagemaker.update_endpoint(
            EndpointName=endpoint,
            EndpointConfigName=config,
            DeploymentConfig={"AutoRollbackConfiguration": alarms, **policies},
        )

    def pending(self, endpoint: str, stage: str) -> dict[str, Any] | None:
        """What is taking over, once it is so far."""
        found = self.sagemaker.describe_endpoint(EndpointName=endpoint)
        pending: dict[str, Any] | None = found.get("PendingDeploymentSummary")
        so_far = pending and pending["ProductionVariants"][0]["VariantStatus"][0]["Status"]
        return pending if so_far == stage else None

    def versions(self, endpoint: str, count: int) -> dict[str, int]:
        return Counter(self.ask(endpoint)["version"] for _ in range(count))


def blue_green(
    kind: str, percent: int | None = None, wait: int = 0, last: int = 0
) -> dict[str, Any]:
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    name = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind)
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **({name: size} if name else {})}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": last,
        }
    }


def rolling(percent: int, wait: int) -> dict[str, Any]:
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait}}


@pytest.fixture(scope="module")
def stage(local_aws: Any) -> Rollouts:
    return Rollouts(local_aws)


@pytest.fixture
def endpoint(stage: Rollouts) -> Iterator[str]:
    name = stage.create(stage.config("v1", instances=2))
    assert stage.settled(name)["EndpointStatus"] == "InService"
    yield name
    stage.remove(name)


@pytest.fixture(scope="module")
def resting(stage: Rollouts) -> Iterator[str]:
    """An endpoint that nothing changes."""
    name = stage.create(stage.config("v1"))
    stage.settled(name)
    yield name
    stage.remove(name)


def test_a_canary_gets_its_share_until_an_alarm_takes_it_away(
    stage: Rollouts, endpoint: str
) -> None:
    config = stage.config("v2", instances=2)
    stage.update(endpoint, config, **blue_green("CANARY", 20, HOUR))
    pending = until(lambda: stage.pending(endpoint, "Baking"))

    shared = stage.versions(endpoint, 20)
    stage.ring()
    described = stage.settled(endpoint)

    assert pending["EndpointConfigName"] == config
    assert shared == {"v1": 16, "v2": 4}
    assert described["EndpointConfigName"] != config
    assert f"{stage.alarm} (A drill.)" in described["FailureReason"]
    assert "PendingDeploymentSummary" not in described
    assert stage.versions(endpoint, 5) == {"v1": 5}


def test_a_failed_request_of_the_new_model_turns_it_back(stage: Rollouts, endpoint: str) -> None:
    config = stage.config("v2")
    stage.update(endpoint, config, **blue_green("ALL_AT_ONCE", last=HOUR))
    assert until(lambda: stage.pending(endpoint, "Baking"))

    with pytest.raises(stage.runtime.exceptions.ModelError):
        stage.ask(endpoint, "fail 500")
    described = stage.settled(endpoint)

    assert "Invocation5XXErrors" in described["FailureReason"]
    assert stage.ask(endpoint)["version"] == "v1"


def test_failed_requests_of_the_old_model_do_not_stop_its_repair(
    stage: Rollouts, endpoint: str
) -> None:
    for _ in range(3):
        with pytest.raises(stage.runtime.exceptions.ModelError):
            stage.ask(endpoint, "fail 500")
    config = stage.config("v2")

    stage.update(endpoint, config, **blue_green("LINEAR", 50, wait=1, last=1))

    described = stage.settled(endpoint)
    assert described["EndpointConfigName"] == config
    assert "FailureReason" not in described
    assert described["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]


def test_a_rolling_update_replaces_a_batch_and_gives_it_back_when_an_alarm_rings(
    stage: Rollouts, endpoint: str
) -> None:
    stage.update(endpoint, stage.config("v2", instances=2), **rolling(50, HOUR))
    pending = until(lambda: stage.pending(endpoint, "Baking"))
    during = stage.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    shared = stage.versions(endpoint, 10)
    stage.ring()
    after = stage.settled(endpoint)

    assert pending["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert during[0]["CurrentInstanceCount"] == 1
    assert shared == {"v1": 5, "v2": 5}
    assert after["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert stage.versions(endpoint, 4) == {"v1": 4}


def test_a_rolling_update_ends_with_all_instances_new(stage: Rollouts, endpoint: str) -> None:
    config = stage.config("v2", instances=2)

    stage.update(endpoint, config, **rolling(50, 0))

    described = stage.settled(endpoint)
    assert described["EndpointConfigName"] == config
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert stage.versions(endpoint, 4) == {"v2": 4}


@pytest.mark.parametrize(
    ("policies", "complaint"),
    [
        (blue_green("CANARY", 60), "CanarySize is 60%"),
        (blue_green("LINEAR", 5), "LinearStepSize is 5%"),
        (rolling(60, 0), "MaximumBatchSize is 60%"),
        ({**blue_green("ALL_AT_ONCE"), **rolling(50, 0)}, "Only one of"),
        (
            {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "nobody-made-me"}]}},
            r"\[nobody-made-me\] do not exist",
        ),
    ],
)
def test_a_rollout_that_aws_refuses_is_refused_and_changes_nothing(
    stage: Rollouts, resting: str, policies: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(stage.sagemaker.exceptions.ClientError, match=complaint):
        stage.update(resting, stage.config("v2"), **policies)

    assert stage.sagemaker.describe_endpoint(EndpointName=resting)["EndpointStatus"] == "InService"
    assert stage.ask(resting)["version"] == "v1"


def test_a_share_of_requests_and_answers_is_kept_in_the_bucket(stage: Rollouts) -> None:
    config = stage.config("v1")
    [variant] = stage.sagemaker.describe_endpoint_config(EndpointConfigName=config)[
        "ProductionVariants"
    ]
    stage.sagemaker.create_endpoint_config(
        EndpointConfigName=f"{config}-kept",
        ProductionVariants=[variant],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 50,
            "DestinationS3Uri": f"s3://{stage.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        },
    )
    name = stage.create(f"{config}-kept")
    stage.settled(name)
    for number in range(4):
        stage.ask(name, f"picture {number}", ContentType="image/jpeg", InferenceId=f"id-{number}")

    # What is waiting is written before the endpoint is gone.
    stage.remove(name)

    found = stage.s3.list_objects_v2(Bucket=stage.bucket, Prefix=f"capture/{name}/live/")
    keys = [item["Key"] for item in found["Contents"]]
    bodies = [stage.s3.get_object(Bucket=stage.bucket, Key=key)["Body"].read() for key in keys]
    events = [json.loads(line) for body in bodies for line in body.splitlines()]
    events.sort(key=lambda event: event["eventMetadata"]["inferenceId"])
    asked = [event["captureData"]["endpointInput"] for event in events]
    answered = [event["captureData"]["endpointOutput"] for event in events]
    assert [event["eventMetadata"]["inferenceId"] for event in events] == ["id-1", "id-3"]
    assert base64.b64decode(asked[0]["data"]) == b"picture 1"
    assert (asked[0]["observedContentType"], asked[0]["encoding"]) == ("image/jpeg", "BASE64")
    assert json.loads(answered[0]["data"])["version"] == "v1"
    assert (answered[0]["mode"], answered[0]["encoding"]) == ("OUTPUT", "JSON")
    assert all(key.count("/") == 7 and key.endswith(".jsonl") for key in keys)
