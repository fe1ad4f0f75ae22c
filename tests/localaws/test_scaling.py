import io
import json
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from tests.localaws.starting import start_local_aws

from localaws import control

pytestmark = pytest.mark.slow

SERVE = """
import http.server, os, pathlib, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        file = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        while file.startswith("/") and not pathlib.Path(file).exists():
            time.sleep(0.02)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_POST = do_GET
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/dogs/variant/live",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


class Aws:
    """A local AWS of its own, that scales within seconds."""

    def __init__(self, address: control.Address) -> None:
        self._address = address
        self.scaling = self.client("application-autoscaling")
        self.sagemaker = self.client("sagemaker")

    def client(self, service: str) -> Any:
        session: Any = boto3.session.Session()
        return session.client(
            service,
            aws_access_key_id=self._address.access_key_id,
            aws_secret_access_key=self._address.secret_access_key,
            endpoint_url=self._address.url,
            region_name=self._address.region,
        )

    def instances(self) -> int:
        found = self.sagemaker.describe_endpoint(EndpointName="dogs")
        settled = found["EndpointStatus"] == "InService"
        count: int = found["ProductionVariants"][0]["CurrentInstanceCount"]
        return count if settled else 0


def until(holds: Callable[[], Any]) -> bool:
    """Give the local AWS up to forty seconds."""
    pause = threading.Event()
    for _ in range(400):
        if holds():
            return True
        pause.wait(0.1)
    return False


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with (
        tempfile.TemporaryDirectory(prefix="localaws-") as parent,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("LOCALAWS_SCALING_INTERVAL_SECONDS", "0.3")
        patch.setenv("LOCALAWS_SCALING_WINDOW_SECONDS", "3")
        folder = Path(parent) / "local"
        aws = Aws(start_local_aws(folder))
        try:
            _deploy(aws)
            yield aws
        finally:
            control.down(folder)


def _deploy(aws: Aws) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/serve.py")
        member.size = len(SERVE)
        tar.addfile(member, io.BytesIO(SERVE.encode()))
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="scaling-models")
    s3.put_object(Bucket="scaling-models", Key="model.tar.gz", Body=content.getvalue())
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    policy = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
    }
    iam = aws.client("iam")
    role = iam.create_role(RoleName="model", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName="model", PolicyName="own", PolicyDocument=json.dumps(policy))
    aws.sagemaker.create_model(
        ModelName="dogs",
        ExecutionRoleArn=role["Arn"],
        PrimaryContainer={"ModelDataUrl": "s3://scaling-models/model.tar.gz"},
    )
    aws.sagemaker.create_endpoint_config(
        EndpointConfigName="dogs",
        ProductionVariants=[
            {"VariantName": "live", "ModelName": "dogs", "InitialInstanceCount": 1}
        ],
    )
    aws.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="dogs")
    assert until(lambda: aws.instances() == 1)


def _policy(
    target: float, metric: str = "SageMakerVariantInvocationsPerInstance", **more: Any
) -> dict[str, Any]:
    return {
        **VARIANT,
        "PolicyName": "requests",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": target,
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            **more,
        },
    }


def test_instances_follow_the_requests_within_their_bounds(aws: Aws) -> None:
    runtime = aws.client("sagemaker-runtime")
    aws.scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=2)
    aws.scaling.put_scaling_policy(**_policy(60, ScaleInCooldown=0, ScaleOutCooldown=0))

    def grown() -> bool:
        for _ in range(10):
            runtime.invoke_endpoint(EndpointName="dogs", Body=b"x")
        return aws.instances() == 2

    out = until(grown)
    back = until(lambda: aws.instances() == 1)
    found = aws.scaling.describe_scaling_activities(ServiceNamespace="sagemaker")
    activities = found["ScalingActivities"]

    assert out
    assert back
    assert [a["Description"] for a in activities][:2] == [
        "Setting desired instance count to 1.",
        "Setting desired instance count to 2.",
    ]
    assert {a["StatusCode"] for a in activities} == {"Successful"}


def test_capacity_below_the_minimum_is_raised(aws: Aws) -> None:
    aws.scaling.register_scalable_target(**VARIANT, MinCapacity=2, MaxCapacity=2)
    raised = until(lambda: aws.instances() == 2)
    aws.scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=1)
    lowered = until(lambda: aws.instances() == 1)

    assert raised
    assert lowered


def test_instances_follow_the_requests_at_once(aws: Aws, tmp_path: Path) -> None:
    runtime = aws.client("sagemaker-runtime")
    metric = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    aws.scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=2)
    aws.scaling.put_scaling_policy(
        **_policy(2, metric, ScaleInCooldown=0, ScaleOutCooldown=0, DisableScaleIn=True)
    )

    with ThreadPoolExecutor(4) as pool:
        body = str(tmp_path / "go").encode()
        waiting = [
            pool.submit(runtime.invoke_endpoint, EndpointName="dogs", Body=body) for _ in range(4)
        ]
        grown = until(lambda: aws.instances() == 2)
        (tmp_path / "go").touch()
        for future in waiting:
            future.result()

    assert grown


def test_a_scheduled_action_changes_the_limits_at_its_time(aws: Aws) -> None:
    aws.scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=1)
    settled = until(lambda: aws.instances() == 1)
    soon = datetime.now(ZoneInfo("Asia/Tokyo")) + timedelta(seconds=2)

    aws.scaling.put_scheduled_action(
        **VARIANT,
        ScheduledActionName="morning",
        Schedule=f"at({soon:%Y-%m-%dT%H:%M:%S})",
        Timezone="Asia/Tokyo",
        ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 3},
    )
    grown = until(lambda: aws.instances() == 2)

    found = aws.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    actions = aws.scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")
    assert settled
    assert grown
    assert (found[0]["MinCapacity"], found[0]["MaxCapacity"]) == (2, 3)
    assert actions["ScheduledActions"][0]["Timezone"] == "Asia/Tokyo"


def test_a_schedule_that_cannot_be_is_refused(aws: Aws) -> None:
    with pytest.raises(aws.scaling.exceptions.ValidationException, match="has 5 fields"):
        aws.scaling.put_scheduled_action(
            **VARIANT,
            ScheduledActionName="never",
            Schedule="cron(0 8 * * *)",
            ScalableTargetAction={"MinCapacity": 1},
        )


def test_records_come_back_as_they_were_given(aws: Aws) -> None:
    aws.scaling.register_scalable_target(
        **VARIANT, MinCapacity=1, MaxCapacity=5, Tags={"project": "kennel"}
    )
    aws.scaling.put_scaling_policy(**_policy(600.0, ScaleInCooldown=30, ScaleOutCooldown=30))

    target = aws.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"][
        0
    ]
    policy = aws.scaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", PolicyNames=["requests"]
    )["ScalingPolicies"][0]
    tags = aws.scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"]

    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 5)
    assert policy["TargetTrackingScalingPolicyConfiguration"]["ScaleInCooldown"] == 30
    assert tags == {"project": "kennel"}


def test_a_target_of_no_endpoint_is_refused(aws: Aws) -> None:
    nowhere = {**VARIANT, "ResourceId": "endpoint/cats/variant/live"}

    with pytest.raises(aws.scaling.exceptions.ValidationException, match="does not exist"):
        aws.scaling.register_scalable_target(**nowhere, MinCapacity=1, MaxCapacity=2)
