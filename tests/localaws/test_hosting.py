import io
import json
import os
import signal
import subprocess
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SERVE = """
import http.server, json, os, pathlib, sys, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        command, _, argument = body.decode().partition(" ")
        if command == "fail":
            self.answer(int(argument), b'{"error": "no picture"}')
            return
        if command == "wait":
            folder = pathlib.Path(argument)
            (folder / f"started-{threading.get_ident()}-{time.monotonic_ns()}").touch()
            while not (folder / "go").exists():
                time.sleep(0.02)
        about = {"pid": os.getpid(), "version": os.environ["MODEL_VERSION"],
                 "type": self.headers["Content-Type"],
                 "attributes": self.headers["X-Amzn-SageMaker-Custom-Attributes"],
                 "environment": sorted(os.environ)}
        self.answer(200, json.dumps(about).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen")
        self.end_headers()
        self.wfile.write(body)

print("serving", os.environ["MODEL_VERSION"], flush=True)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
BROKEN = "raise SystemExit('the weights are damaged')"


def archive(source: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/serve.py")
        member.size = len(source.encode())
        tar.addfile(member, io.BytesIO(source.encode()))
    return content.getvalue()


def until(holds: Callable[[], Any]) -> Any:
    """Give another process up to thirty seconds."""
    pause = threading.Event()
    for _ in range(600):
        found = holds()
        if found:
            return found
        pause.wait(0.05)
    return None


def runs(pid: int) -> bool:
    listing = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return listing.stdout.strip() != "" and not listing.stdout.strip().startswith("Z")


class Stage:
    """A bucket, a role, and endpoints of one test module."""

    def __init__(self, local_aws: Any) -> None:
        self.sagemaker = local_aws.client("sagemaker")
        self.runtime = local_aws.client("sagemaker-runtime")
        self.s3 = local_aws.client("s3")
        self.logs = local_aws.client("logs")
        self.bucket = f"models-{uuid.uuid4().hex[:8]}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_object(Bucket=self.bucket, Key="good.tar.gz", Body=archive(SERVE))
        self.s3.put_object(Bucket=self.bucket, Key="broken.tar.gz", Body=archive(BROKEN))
        self.s3.put_object(Bucket=self.bucket, Key="secret.tar.gz", Body=archive(SERVE))
        iam = local_aws.client("iam")
        role = f"hosting-{uuid.uuid4().hex[:8]}"
        trust = {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            },
        }
        self.role = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))[
            "Role"
        ]["Arn"]
        allowed = [f"arn:aws:s3:::{self.bucket}/{key}.tar.gz" for key in ("good", "broken")]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": allowed},
                {"Effect": "Allow", "Action": ["cloudwatch:*", "ecr:*", "logs:*"], "Resource": "*"},
            ],
        }
        iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=json.dumps(policy))

    def config(self, version: str, key: str = "good", instances: int = 1) -> str:
        name = f"{version}-{uuid.uuid4().hex[:8]}"
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.role,
            PrimaryContainer={
                "Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.6",
                "ModelDataUrl": f"s3://{self.bucket}/{key}.tar.gz",
                "Environment": {"MODEL_VERSION": version},
            },
        )
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "live",
                    "ModelName": name,
                    "InstanceType": "ml.c7i.large",
                    "InitialInstanceCount": instances,
                }
            ],
        )
        return name

    def settled(self, name: str) -> dict[str, Any]:
        def status() -> Any:
            found = self.sagemaker.describe_endpoint(EndpointName=name)
            done = found["EndpointStatus"] not in ("Creating", "Updating")
            return found if done else None

        found: dict[str, Any] = until(status)
        return found

    def create(self, config: str) -> str:
        name = f"dogs-{uuid.uuid4().hex[:8]}"
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return name

    def ask(self, name: str, body: str = "hello", **more: str) -> dict[str, Any]:
        reply = self.runtime.invoke_endpoint(EndpointName=name, Body=body, **more)
        answer: dict[str, Any] = json.loads(reply["Body"].read())
        return answer

    def remove(self, name: str) -> None:
        self.sagemaker.delete_endpoint(EndpointName=name)
        assert until(lambda: not self.exists(name))

    def exists(self, name: str) -> bool:
        found = self.sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        return bool(found)


@pytest.fixture(scope="module")
def stage(local_aws: Any) -> Stage:
    return Stage(local_aws)


@pytest.fixture
def endpoint(stage: Stage) -> Iterator[str]:
    name = stage.create(stage.config("v1"))
    assert stage.settled(name)["EndpointStatus"] == "InService"
    yield name
    stage.remove(name)


def test_a_request_reaches_the_model_and_the_reply_names_the_variant(
    stage: Stage, endpoint: str
) -> None:
    reply = stage.runtime.invoke_endpoint(
        EndpointName=endpoint, Body=b"x", ContentType="image/jpeg", CustomAttributes="top_k=3"
    )

    answer = json.loads(reply["Body"].read())
    assert answer["version"] == "v1"
    assert answer["type"] == "image/jpeg"
    assert answer["attributes"] == "top_k=3"
    assert reply["InvokedProductionVariant"] == "live"
    assert reply["CustomAttributes"] == "seen"
    assert reply["ContentType"] == "application/json"


def test_the_container_gets_its_roles_credentials_and_nothing_of_the_daemons(
    stage: Stage, endpoint: str
) -> None:
    environment = set(stage.ask(endpoint)["environment"])

    assert {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "SAGEMAKER_BASE_DIR"} <= environment
    assert not {"AWS_ACCESS_KEY_ID", "PYTHONPATH", "AWS_PROFILE"} & environment


def test_records_are_echoed_as_they_were_asked(stage: Stage) -> None:
    name = stage.config("v9")

    model = stage.sagemaker.describe_model(ModelName=name)
    config = stage.sagemaker.describe_endpoint_config(EndpointConfigName=name)

    assert model["PrimaryContainer"]["Environment"] == {"MODEL_VERSION": "v9"}
    assert model["ModelArn"].endswith(f":model/{name}")
    assert "VpcConfig" not in model
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 1
    assert "DataCaptureConfig" not in config


def test_tags_are_kept_for_endpoints_and_for_what_moto_keeps(stage: Stage) -> None:
    name = stage.config("v8")
    arn = stage.sagemaker.describe_model(ModelName=name)["ModelArn"]

    stage.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
    stage.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    stage.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])

    assert stage.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_errors_of_the_model_reach_the_caller(stage: Stage, endpoint: str) -> None:
    with pytest.raises(stage.runtime.exceptions.ModelError) as raised:
        stage.ask(endpoint, "fail 415")

    response = raised.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 415
    assert response["OriginalMessage"] == '{"error": "no picture"}'
    assert response["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{endpoint}")


def test_an_unknown_endpoint_is_a_validation_error(stage: Stage) -> None:
    with pytest.raises(stage.runtime.exceptions.ValidationError, match="not found"):
        stage.ask("no-such-endpoint")


def test_too_large_a_body_is_refused(stage: Stage, endpoint: str) -> None:
    with pytest.raises(stage.runtime.exceptions.ValidationError, match="6291456"):
        stage.ask(endpoint, "x" * 6_291_457)


def test_its_output_is_in_its_log_group(stage: Stage, endpoint: str) -> None:
    group = f"/aws/sagemaker/Endpoints/{endpoint}"

    def streams() -> list[str]:
        try:
            found = stage.logs.filter_log_events(logGroupName=group)["events"]
        except stage.logs.exceptions.ResourceNotFoundException:
            return []
        return [e["logStreamName"] for e in found if e["message"] == "serving v1"]

    found = until(streams)
    assert found[0].startswith("live/i-")


def test_a_new_model_takes_over_and_no_request_in_flight_fails(
    stage: Stage, endpoint: str, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(stage.ask, endpoint, f"wait {tmp_path}") for _ in range(3)]
        assert until(lambda: len(list(tmp_path.glob("started-*"))) == 3)
        stop = threading.Event()

        def keep_asking() -> list[str]:
            versions = []
            while not stop.is_set():
                versions.append(stage.ask(endpoint)["version"])
            return versions

        asking = [pool.submit(keep_asking) for _ in range(2)]
        config = stage.config("v2")
        stage.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        switched = until(lambda: stage.ask(endpoint)["version"] == "v2")
        (tmp_path / "go").touch()
        described = stage.settled(endpoint)
        stop.set()
        seen = [future.result() for future in asking]

    assert switched
    assert {future.result()["version"] for future in waiting} == {"v1"}
    assert all(versions == sorted(versions) for versions in seen)
    assert described["EndpointConfigName"] == config
    assert not runs(waiting[0].result()["pid"])


def test_a_model_that_cannot_start_leaves_the_old_one_serving(stage: Stage, endpoint: str) -> None:
    before = stage.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    stage.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=stage.config("v2", "broken")
    )

    described = stage.settled(endpoint)

    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == before
    assert "the weights are damaged" in described["FailureReason"]
    assert stage.ask(endpoint)["version"] == "v1"


def test_a_first_model_that_cannot_start_fails_the_endpoint(stage: Stage) -> None:
    name = stage.create(stage.config("v1", "broken"))

    described = stage.settled(name)

    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]
    stage.remove(name)


def test_a_model_that_its_role_may_not_read_is_not_served(stage: Stage) -> None:
    name = stage.create(stage.config("v1", "secret"))

    described = stage.settled(name)

    assert described["EndpointStatus"] == "Failed"
    assert "s3:GetObject" in described["FailureReason"]
    stage.remove(name)


def test_a_container_killed_under_load_is_restarted_and_no_caller_notices(
    stage: Stage, endpoint: str
) -> None:
    pid = stage.ask(endpoint)["pid"]
    stop = threading.Event()
    all_asking = threading.Barrier(5)

    def keep_asking() -> set[int]:
        pids = {stage.ask(endpoint)["pid"]}
        all_asking.wait(30)
        while not stop.is_set():
            pids.add(stage.ask(endpoint)["pid"])
        return pids

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(keep_asking) for _ in range(4)]
        all_asking.wait(30)
        os.kill(pid, signal.SIGKILL)
        replaced = until(lambda: stage.ask(endpoint)["pid"] != pid)
        stop.set()
        seen = [future.result() for future in asking]

    assert replaced
    assert len(set().union(*seen)) == 2


def test_a_request_in_flight_is_answered_by_the_next_container_when_its_own_is_killed(
    stage: Stage, endpoint: str, tmp_path: Path
) -> None:
    pid = stage.ask(endpoint)["pid"]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(stage.ask, endpoint, f"wait {tmp_path}")
        started = until(lambda: list(tmp_path.glob("started-*")))
        os.kill(pid, signal.SIGKILL)
        (tmp_path / "go").touch()
        answer = waiting.result()

    assert started
    assert answer["pid"] != pid


def test_instances_are_added_and_taken_away(stage: Stage, endpoint: str) -> None:
    def scale(count: int) -> int:
        stage.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "live", "DesiredInstanceCount": count}],
        )
        variant = stage.settled(endpoint)["ProductionVariants"][0]
        current: int = variant["CurrentInstanceCount"]
        return current

    more = scale(2)
    one = {stage.ask(endpoint)["pid"] for _ in range(2)}
    fewer = scale(1)

    assert (more, fewer) == (2, 1)
    assert len({*one, stage.ask(endpoint)["pid"]}) <= 2


def test_retained_variants_keep_their_instance_count(stage: Stage, endpoint: str) -> None:
    stage.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "live", "DesiredInstanceCount": 2}],
    )
    stage.settled(endpoint)

    stage.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=stage.config("v2"),
        RetainAllVariantProperties=True,
    )

    assert stage.settled(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_a_deleted_endpoint_leaves_no_process(stage: Stage) -> None:
    name = stage.create(stage.config("v1"))
    stage.settled(name)
    pid = stage.ask(name)["pid"]

    stage.remove(name)

    assert not runs(pid)
    with pytest.raises(stage.sagemaker.exceptions.ClientError, match="Could not find endpoint"):
        stage.sagemaker.describe_endpoint(EndpointName=name)


def test_invocations_are_counted(stage: Stage, endpoint: str, local_aws: Any) -> None:
    cloudwatch = local_aws.client("cloudwatch")
    for _ in range(3):
        stage.ask(endpoint)

    def counted() -> bool:
        import datetime

        now = datetime.datetime.now(datetime.UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": "live"},
            ],
            StartTime=now - datetime.timedelta(minutes=5),
            EndTime=now + datetime.timedelta(minutes=1),
            Period=600,
            Statistics=["Sum"],
        )["Datapoints"]
        return bool(sum(point["Sum"] for point in points) == 3)

    assert until(counted)
