"""The deployed service, seen from outside: callers, the AWS CLI, roles, faults, new models.

The tests run in the order of this file; the last ones change what is deployed.
"""

import base64
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from tests.e2e.decided import until
from tests.e2e.fleet import resize, settled, without_autoscaling
from tests.e2e.inventory import inventory
from tests.e2e.killing import started
from tests.e2e.notebook import Ran, run_notebook
from tests.e2e.sdk import SDKS_OWN_OF_A_JOB, SDKS_OWN_OF_A_SEARCH, differences
from tests.e2e.stage import HYPERPARAMETERS, Stage, base64_of, changes, processes_below
from tests.events.samples import Sample, samples
from tests.events.samples import picture as picture_bytes

from contract.release import Artifact, read_release, write_release
from pipeline.demo.callers import Callers

pytestmark = pytest.mark.slow

TELL = "import os\ndef keys(event, context): return dict(os.environ)\n"


def containers(stage: Stage) -> list[int]:
    """Process ids of the serving processes of this stage's endpoint."""
    return [int(p.split()[0]) for p in processes_below(stage.build) if "serve.py" in p]


def ask(stage: Stage, client: Any, picture: Path) -> dict[str, Any]:
    answer = stage.invoke(client, {"image_base64": base64_of(picture)})
    assert answer["statusCode"] == 200, answer
    body: dict[str, Any] = answer["body"]
    return body


def asking(stage: Stage) -> Callable[[], str]:
    client, picture = stage.client("lambda"), stage.picture()
    return lambda: str(ask(stage, client, picture)["model_version"])


def test_a_held_out_picture_is_answered_by_the_released_model(deployed: Stage) -> None:
    reply = ask(deployed, deployed.client("lambda"), deployed.picture())

    assert reply["model_version"] == read_release(deployed.build / "release.tfvars.json").version
    probabilities = [prediction["probability"] for prediction in reply["predictions"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_predict_names_the_picture_and_its_labels(deployed: Stage) -> None:
    picture = deployed.picture()

    output = deployed.make("predict", f"IMAGE={picture}")

    assert str(picture) in output
    assert picture.parent.name.split(".", 1)[-1] in output


@pytest.mark.parametrize("sample", samples("function"), ids=lambda sample: sample.name)
def test_every_sample_gets_its_answer(deployed: Stage, sample: Sample) -> None:
    answer = deployed.invoke(deployed.client("lambda"), sample.request)

    body = json.loads(answer["body"]) if isinstance(answer["body"], str) else answer["body"]
    assert answer["statusCode"] == sample.expected["status"], body
    assert body.get("error", {}).get("code") == sample.expected.get("code")


ODD_PICTURES = (
    *("grey.jpg", "cmyk.jpg", "rgba.png", "grey_16_bits.png", "palette_transparent.png"),
    *("rotated.jpg", "rgb.webp"),
)


@pytest.mark.parametrize("name", ODD_PICTURES)
def test_every_kind_of_picture_is_answered(deployed: Stage, name: str) -> None:
    event = {"image_base64": base64.b64encode(picture_bytes(name)).decode()}

    answer = deployed.invoke(deployed.client("lambda"), event)

    assert answer["statusCode"] == 200, answer


def test_a_picture_larger_than_an_event_may_carry_is_refused_with_413(deployed: Stage) -> None:
    event = {"image_base64": base64.b64encode(bytes(4_600_000)).decode()}

    answer = deployed.invoke(deployed.client("lambda"), event)

    assert answer["statusCode"] == 413
    assert answer["body"]["error"]["code"] == "too_large"


def test_a_picture_in_the_bucket_may_be_named(deployed: Stage) -> None:
    bucket, picture = deployed.stack.bucket, deployed.picture()
    deployed.client("s3").upload_file(str(picture), bucket, "pictures/dog.jpg")
    client = deployed.client("lambda")

    named = deployed.invoke(client, {"s3_uri": f"s3://{bucket}/pictures/dog.jpg"})
    missing = deployed.invoke(client, {"s3_uri": f"s3://{bucket}/pictures/cat.jpg"})
    secret = deployed.invoke(client, {"s3_uri": f"s3://{bucket}/model/dog.jpg"})

    assert named["body"]["predictions"] == ask(deployed, client, picture)["predictions"]
    assert (named["statusCode"], missing["statusCode"]) == (200, 404)
    assert 400 <= secret["statusCode"] < 404


@pytest.mark.parametrize(("signed", "status"), [(True, 200), (False, 403)])
def test_the_function_url_answers_signed_requests_only(
    deployed: Stage, signed: bool, status: int
) -> None:
    assert deployed.stack.function is not None
    request = AWSRequest(
        "POST",
        deployed.stack.function.url,
        headers={"Content-Type": "image/jpeg"},
        data=deployed.picture().read_bytes(),
    )
    env = deployed.env
    keys = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    if signed:
        SigV4Auth(keys, "lambda", env["AWS_REGION"]).add_auth(request)

    reply = URLLib3Session().send(request.prepare())

    assert reply.status_code == status, reply.text


def test_a_second_apply_plans_no_changes(deployed: Stage) -> None:
    assert "No changes" in deployed.make("apply")


def test_the_doctor_finds_nothing_wrong_in_what_was_just_deployed(deployed: Stage) -> None:
    said = deployed.make("doctor")

    assert "ok    drift: what stands is what Terraform made" in said
    assert " 0 failed" in said


def test_the_aws_cli_gets_the_same_answer_from_function_and_endpoint(
    deployed: Stage, tmp_path: Path
) -> None:
    stack, env, picture = deployed.stack, deployed.env, deployed.picture()
    assert stack.endpoint is not None
    assert stack.function is not None
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"image_base64": base64_of(picture)}))

    def aws(*words: str) -> None:
        subprocess.run(["aws", *words], env=env, check=True, capture_output=True, cwd=tmp_path)

    aws(
        *("lambda", "invoke", "--function-name", stack.function.name),
        *("--qualifier", stack.function.alias, "--payload", "fileb://event.json", "function.json"),
    )
    aws(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", stack.endpoint.name),
        *("--content-type", "image/jpeg", "--body", f"fileb://{picture}", "endpoint.json"),
    )

    by_function = json.loads((tmp_path / "function.json").read_text())["body"]
    by_endpoint = json.loads((tmp_path / "endpoint.json").read_text())
    assert by_function == by_endpoint


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("s3", "ls"), "bucket"),
        (("sagemaker", "list-endpoints"), "endpoint"),
        (("sagemaker", "list-notebook-instances"), "notebook"),
        (("lambda", "list-functions"), "function"),
        (("ec2", "describe-instances"), "instance"),
    ],
)
def test_the_aws_cli_lists_what_terraform_made(
    deployed: Stage, words: tuple[str, ...], named: str
) -> None:
    stack = deployed.stack
    assert stack.endpoint is not None
    assert stack.function is not None
    wanted = {
        "bucket": stack.bucket,
        "endpoint": stack.endpoint.name,
        "notebook": str(stack.notebook_name),
        "function": stack.function.name,
        "instance": str(stack.ec2_training.instance_id),
    }[named]

    listing = subprocess.run(
        ["aws", *words], env=deployed.env, check=True, capture_output=True, text=True
    ).stdout

    assert wanted in listing


@pytest.fixture(scope="module")
def function_role_keys(deployed: Stage) -> dict[str, str]:
    """The credentials of the function's role, told by a function that runs with it."""
    client, stack = deployed.client("lambda"), deployed.stack
    assert stack.function is not None
    role = client.get_function(FunctionName=stack.function.name)["Configuration"]["Role"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("tell.py", TELL)
    client.create_function(
        FunctionName="tells-its-keys",
        Runtime="python3.13",
        Role=role,
        Handler="tell.keys",
        Code={"ZipFile": code.getvalue()},
    )
    try:
        response = client.invoke(FunctionName="tells-its-keys")
        told = json.loads(response["Payload"].read())
    finally:
        client.delete_function(FunctionName="tells-its-keys")
    return {
        "aws_access_key_id": told["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": told["AWS_SECRET_ACCESS_KEY"],
        "aws_session_token": told["AWS_SESSION_TOKEN"],
    }


def test_the_functions_role_may_invoke_its_endpoint(
    deployed: Stage, function_role_keys: dict[str, str]
) -> None:
    assert deployed.stack.endpoint is not None
    runtime = deployed.client("sagemaker-runtime", **function_role_keys)

    response = runtime.invoke_endpoint(
        EndpointName=deployed.stack.endpoint.name,
        ContentType="image/jpeg",
        Body=deployed.picture().read_bytes(),
    )

    assert json.loads(response["Body"].read())["predictions"]


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "another", "Body": b""}),
        ("sagemaker", "list_endpoints", {}),
        ("sagemaker", "describe_endpoint", {"EndpointName": "its own"}),
        ("sagemaker", "delete_endpoint", {"EndpointName": "its own"}),
        ("sagemaker", "stop_notebook_instance", {"NotebookInstanceName": "its own"}),
        ("s3", "list_objects_v2", {"Bucket": "its own"}),
        ("lambda", "invoke", {"FunctionName": "its own"}),
        ("iam", "list_roles", {}),
    ],
)
def test_the_functions_role_may_do_nothing_else(
    deployed: Stage,
    function_role_keys: dict[str, str],
    service: str,
    operation: str,
    arguments: dict[str, Any],
) -> None:
    stack = deployed.stack
    assert stack.endpoint is not None
    assert stack.function is not None
    own = {
        "EndpointName": stack.endpoint.name,
        "NotebookInstanceName": stack.notebook_name,
        "Bucket": stack.bucket,
        "FunctionName": stack.function.name,
    }
    given = {name: own[name] if v == "its own" else v for name, v in arguments.items()}
    client = deployed.client(service, **function_role_keys)

    with pytest.raises(ClientError, match="AccessDenied"):
        getattr(client, operation)(**given)


def test_of_six_parallel_invocations_one_is_turned_away_and_five_are_answered(
    deployed: Stage,
) -> None:
    client, picture = deployed.client("lambda"), deployed.picture()
    stopped = containers(deployed)
    assert stopped

    with ThreadPoolExecutor(6) as pool:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            calls = [pool.submit(ask, deployed, client, picture) for _ in range(6)]
            first, _ = wait(calls, return_when=FIRST_COMPLETED)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        errors = [call.exception() for call in calls]

    assert len(first) == 1
    assert [type(e).__name__ for e in errors if e] == ["TooManyRequestsException"]


def test_the_endpoint_recovers_when_its_serving_process_is_killed(deployed: Stage) -> None:
    with Callers(asking(deployed), 2) as callers:
        before = containers(deployed)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        answered = sum(callers.versions.values())
        deadline = threading.Event()
        for _ in range(100):
            if sum(callers.versions.values()) > answered + 5:
                break
            deadline.wait(0.1)

    assert sum(callers.versions.values()) > answered + 5, callers.failures
    assert set(containers(deployed)).isdisjoint(before)


def test_changed_code_of_the_function_replaces_the_function_alone(deployed: Stage) -> None:
    archive, file = deployed.build / "function.zip", deployed.build / "release.tfvars.json"
    release = read_release(file)
    with zipfile.ZipFile(archive) as code:
        sources = {name: code.read(name) for name in code.namelist()}
    with zipfile.ZipFile(archive, "w") as code:
        for name, source in sources.items():
            code.writestr(name, source.replace(b"Addresses are not", b"No address is"))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    artifact = Artifact(key=f"function/{digest}/function.zip", sha256=digest)
    write_release(replace(release, function=artifact), file)
    updates = deployed.calls("sagemaker:UpdateEndpoint")

    output = deployed.make("apply")

    answer = deployed.invoke(deployed.client("lambda"), {"url": "http://dog"})
    assert changes(output) == [
        "~ module.function[0].aws_lambda_alias.live",
        "~ module.function[0].aws_lambda_function.this",
    ]
    assert answer["body"]["error"]["message"].startswith("No address is fetched")
    assert deployed.calls("sagemaker:UpdateEndpoint") == updates


def test_rollback_goes_to_the_code_before_when_the_model_is_the_same(deployed: Stage) -> None:
    deployed.make("rollback")

    answer = deployed.invoke(deployed.client("lambda"), {"url": "http://dog"})
    assert answer["body"]["error"]["message"].startswith("Addresses are not fetched")


@dataclass(frozen=True)
class RollOver:
    """What was seen while a new model took over from an old one."""

    old: str
    new: str
    callers: Callers
    changes: list[str]
    """Terraform's changes: a sign and an address each."""
    updates: int
    """How often the endpoint was told to change."""
    instances: int
    """After the deployment; there were four before."""


@pytest.fixture(scope="module")
def rolled_over(deployed: Stage, tmp_path_factory: pytest.TempPathFactory) -> RollOver:
    second = tmp_path_factory.mktemp("second") / "hyperparameters.json"
    values = json.loads(Path("examples/hyperparameters.json").read_text()) | {"seed": 8}
    second.write_text(json.dumps(values))
    old = read_release(deployed.build / "release.tfvars.json").version
    deployed.make("train", f"HYPERPARAMETERS={second}")
    deployed.make("package")
    updates = deployed.calls("sagemaker:UpdateEndpoint")

    with without_autoscaling(deployed):
        resize(deployed, 4)
        with Callers(asking(deployed), 2) as callers:
            output = deployed.make("apply")
        found = settled(deployed)
        resize(deployed, 1)

    return RollOver(
        old=old,
        new=read_release(deployed.build / "release.tfvars.json").version,
        callers=callers,
        changes=changes(output),
        updates=deployed.calls("sagemaker:UpdateEndpoint") - updates,
        instances=found["ProductionVariants"][0]["DesiredInstanceCount"],
    )


def test_a_new_model_loses_no_request(rolled_over: RollOver) -> None:
    assert rolled_over.old != rolled_over.new
    assert not rolled_over.callers.failures
    assert set(rolled_over.callers.versions) == {rolled_over.old, rolled_over.new}


def test_a_new_model_updates_one_endpoint_in_place_and_nothing_else(rolled_over: RollOver) -> None:
    # The alarms that would turn it back watch the new configuration.
    assert rolled_over.changes == [
        '~ module.endpoint[0].aws_cloudwatch_metric_alarm.rollback["5xx"]',
        '~ module.endpoint[0].aws_cloudwatch_metric_alarm.rollback["latency"]',
        "~ module.endpoint[0].aws_sagemaker_endpoint.this",
        "± module.endpoint[0].aws_sagemaker_endpoint_configuration.this",
        "± module.endpoint[0].aws_sagemaker_model.this",
    ]
    assert rolled_over.updates == 1


def test_a_deployment_keeps_the_fleet_as_large_as_it_was(rolled_over: RollOver) -> None:
    assert rolled_over.instances == 4


ROLL_OVER = [
    '~ module.endpoint[0].aws_cloudwatch_metric_alarm.rollback["5xx"]',
    '~ module.endpoint[0].aws_cloudwatch_metric_alarm.rollback["latency"]',
    "~ module.endpoint[0].aws_sagemaker_endpoint.this",
    "± module.endpoint[0].aws_sagemaker_endpoint_configuration.this",
]
"""The alarms that may stop a roll-over watch the configuration that comes."""
MODEL_TOO = ["± module.endpoint[0].aws_sagemaker_model.this"]
ROLE_TOO = ['~ module.endpoint[0].module.role.aws_iam_role_policy.this["endpoint"]']
NOTEBOOK_TOO = ['~ module.notebook[0].module.role.aws_iam_role_policy.this["notebook"]']
"""It may try a model on the endpoint's instance type, and on no other."""
PULLERS_TOO = [*ROLE_TOO, '~ module.training_job.module.role.aws_iam_role_policy.this["training"]']
"""The notebook's endpoint runs with the role of training jobs."""
NO_BUILDER = [
    "- module.image[0].aws_cloudwatch_log_group.this",
    "- module.image[0].aws_codebuild_project.this",
    "- module.image[0].aws_ecr_lifecycle_policy.this",
    "- module.image[0].aws_ecr_repository.this",
    "- module.image[0].module.role.aws_iam_role.this",
    '- module.image[0].module.role.aws_iam_role_policy.this["image"]',
]
CHANGED_ALONE = {
    "instance_type": ("ml.m7i.large", NOTEBOOK_TOO),
    "image": ("ray:serve-ml-sagemaker-cpu-v1.4", MODEL_TOO + PULLERS_TOO + NO_BUILDER),
    "pictures_prefix": ("photos/", MODEL_TOO + ROLE_TOO),
}
"""Settings of the endpoint: their new value, and what is new besides the configuration."""


# RO
@pytest.mark.parametrize("name", CHANGED_ALONE)
def test_a_setting_changed_alone_updates_the_endpoint_once_and_nothing_else(
    deployed: Stage, name: str
) -> None:
    names = list(CHANGED_ALONE)
    values = {one: CHANGED_ALONE[one][0] for one in names[: names.index(name) + 1]}
    value, besides = CHANGED_ALONE[name]
    updates = deployed.calls("sagemaker:UpdateEndpoint")

    output = deployed.make("apply", deployed.settings(endpoint=values))

    assert sorted(changes(output)) == sorted([*ROLL_OVER, *besides])
    assert deployed.calls("sagemaker:UpdateEndpoint") == updates + 1
    assert str(value) in str(served(deployed))


# RO
def test_a_roll_over_that_is_killed_is_finished_by_the_next_apply(deployed: Stage) -> None:
    """Killed when the endpoint has been told to change, and the state does not know it."""
    values = {name: value for name, (value, _) in CHANGED_ALONE.items()} | {"capture_percent": 20}
    settings = deployed.settings(endpoint=values)
    updates = deployed.calls("sagemaker:UpdateEndpoint")
    with started(deployed, settings) as apply:
        apply.reaches("made .*endpoint_configuration")
        while deployed.calls("sagemaker:UpdateEndpoint") == updates:
            threading.Event().wait(0.02)
        apply.signal(signal.SIGKILL)

    output = deployed.make("apply", settings)

    assert "there already: module.endpoint[0].aws_sagemaker_endpoint_configuration" in output
    assert deployed.calls("sagemaker:UpdateEndpoint") == updates + 1
    assert "20" in str(served(deployed)["capture"])
    assert len(deployed.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]) == 1
    assert "No changes" in deployed.make("plan", settings)


def served(stage: Stage) -> dict[str, Any]:
    """Configuration and model that the endpoint says it serves with."""
    assert stage.stack.endpoint is not None
    sagemaker = stage.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=stage.stack.endpoint.name)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    return {
        "instance_type": config["ProductionVariants"][0]["InstanceType"],
        "image": model["PrimaryContainer"]["Image"],
        "environment": model["PrimaryContainer"]["Environment"],
        "capture": config.get("DataCaptureConfig"),
    }


def test_a_model_that_cannot_start_leaves_the_old_one_serving(deployed: Stage) -> None:
    good = read_release(deployed.build / "release.tfvars.json")
    archive = deployed.build / "model.tar.gz"
    kept = archive.read_bytes()
    broken = io.BytesIO()
    with tarfile.open(archive) as source, tarfile.open(fileobj=broken, mode="w:gz") as target:
        for member in source.getmembers():
            data = source.extractfile(member)
            assert data is not None
            content = data.read()
            if member.name == "code/serve.py":
                content = b"raise SystemExit('this model is broken')\n"
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    archive.write_bytes(broken.getvalue())
    digest = hashlib.sha256(broken.getvalue()).hexdigest()
    artifact = Artifact(key=f"model/{digest}/model.tar.gz", sha256=digest)
    write_release(replace(good, model=artifact), deployed.build / "release.tfvars.json")

    try:
        output = deployed.make("apply", expect=2)
        answer = ask(deployed, deployed.client("lambda"), deployed.picture())
    finally:
        archive.write_bytes(kept)
        write_release(good, deployed.build / "release.tfvars.json")
        after = deployed.make("apply")

    assert "this model is broken" in output
    assert answer["model_version"] == good.version
    assert good.version in after


def test_rollback_goes_to_the_release_before(deployed: Stage) -> None:
    now = deployed.stack.model_version

    deployed.make("rollback")

    answer = ask(deployed, deployed.client("lambda"), deployed.picture())
    assert answer["model_version"] == deployed.stack.model_version != now


def test_ec2_and_sagemaker_train_the_same_model_as_the_laptop(deployed: Stage) -> None:
    def weights(build: Path) -> str:
        return hashlib.sha256((build / "model" / "weights.safetensors").read_bytes()).hexdigest()

    deployed.make("train", HYPERPARAMETERS)
    laptop = weights(deployed.build)
    deployed.make("train-ec2", HYPERPARAMETERS)
    ec2 = weights(deployed.build)
    deployed.make("train-sagemaker", HYPERPARAMETERS)
    sagemaker = weights(deployed.build)

    assert laptop == ec2 == sagemaker
    instance = deployed.stack.ec2_training.instance_id
    state = deployed.client("ec2").describe_instances(InstanceIds=[instance])
    assert state["Reservations"][0]["Instances"][0]["State"]["Name"] == "stopped"


@pytest.fixture(scope="module")
def notebook(deployed: Stage, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The notebook's run: a search of two trials, a training, an endpoint."""
    folder = tmp_path_factory.mktemp("notebook")
    space = folder.with_name("space.json")
    decays = {"kind": "float", "low": 1e-05, "high": 0.1, "scale": "log"}
    search = {"strategy": "random", "trials": 2, "parallel_trials": 2, "early_stopping": False}
    space.write_text(json.dumps(search | {"space": {"weight_decay": decays}}))
    data = deployed.build / "data" / "photos"
    deployed.make("upload", HYPERPARAMETERS, f"SEARCH_SPACE={space}", f"DATA={data}")
    return run_notebook(deployed, folder)


def test_the_notebook_tunes_trains_deploys_and_asks_and_leaves_nothing_that_costs(
    deployed: Stage, notebook: Ran
) -> None:
    sagemaker = deployed.client("sagemaker")

    def endpoints() -> list[str]:
        return [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]]

    assert until(lambda: endpoints() == [deployed.stack.name]), endpoints()
    assert len(notebook.jobs) == 3
    assert re.search(r"^epoch +1: .*accuracy", notebook.told, re.MULTILINE)
    assert re.search(r"^\d+\.\w+: \w+ \(\d+%\)", notebook.told, re.MULTILINE)
    assert notebook.told.endswith("are gone.\n")


def test_the_sdk_and_the_verbs_ask_sagemaker_for_the_same(deployed: Stage, notebook: Ran) -> None:
    found = differences(deployed, notebook)

    assert found["training job"] == SDKS_OWN_OF_A_JOB
    assert found["search"] == SDKS_OWN_OF_A_SEARCH


def test_destroy_leaves_what_a_new_account_has_and_no_process(deployed: Stage) -> None:
    before = inventory(deployed.client)
    deployed.make("destroy")

    after = inventory(deployed.client)
    running = containers(deployed)
    deployed.make("local-down")
    processes = processes_below(deployed.build)
    deployed.make("local-up")
    new = inventory(Stage(build=deployed.build).client)

    assert {"s3:ListBuckets.Buckets", "sagemaker:ListModels.Models"} <= before.keys()
    assert {"application-autoscaling:DescribeScalingPolicies.ScalingPolicies"} <= before.keys()
    assert after == new
    assert running == []
    assert processes == []
