"""Changed code of the function, tried on a few callers of a function that really runs."""

import hashlib
import io
import json
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.infra.providing import Providers
from tests.localaws.lambdas import HANDLER, make_function, make_role, zipped
from tests.localaws.signing import keys_in, send
from tests.pipeline.conftest import Stage
from tests.pipeline.models import write_model
from tests.pipeline.test_package import REPOSITORY

from contract.release import Artifact, Release, write_release
from contract.serving import Canary
from contract.stack import Function
from pipeline import deploy
from pipeline.aws import Account
from pipeline.canary import open_trial, watch
from pipeline.cli import Failed
from pipeline.package import package_release
from pipeline.setup import find_mirror, write_cli_config

pytestmark = pytest.mark.slow
ANSWERS = """
def handle(event, context):
    first = {{"label": "{label}", "probability": 0.8}}
    body = {{"model_version": "{version}", "predictions": [first]}}
    return {{"statusCode": 200, "body": body}}
# {remark}
"""


@pytest.fixture
def service(
    stage: Stage, account: Account, local_aws: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """A stage whose Terraform makes the real function, with a trial of ten seconds."""
    infra = stage.root / "infra"
    (infra / "main.tf").unlink()
    shutil.copy(Path(__file__).with_name("function.tf"), infra)
    for module in ("iam", "lambda"):
        shutil.copytree(REPOSITORY / "infra/modules" / module, infra / "modules" / module)
    function = {**json.loads(stage.settings_file.read_text())["function"]}
    wished = {
        "api": {"burst": 5, "requests_per_second": 5},
        "canary": {"percent": 50, "seconds": 10},
        "traced": True,
    }
    stage.change_settings(function={**function, **wished})
    account.client("s3").create_bucket(Bucket=f"{stage.name}-bucket")
    write_model(stage.build / "model")
    write_cli_config(stage.root / "terraform.rc", find_mirror())
    environment = {**local_aws.env, "TF_CLI_CONFIG_FILE": str(stage.root / "terraform.rc")}
    init = ["terraform", "init", "-backend=false"]
    subprocess.run(init, cwd=infra, env=environment, check=True, capture_output=True)
    [executable] = infra.glob(".terraform/providers/*/hashicorp/aws/*/*/terraform-provider-aws_*")
    providers = Providers(account.region, environment)
    attached = providers.attached(account.region, executable)
    monkeypatch.setenv("TF_REATTACH_PROVIDERS", attached["TF_REATTACH_PROVIDERS"])
    yield stage
    providers.end()


def release_code(stage: Stage, label: str, remark: str) -> Release:
    """Make a release whose function answers every picture with a label."""
    packed = package_release(REPOSITORY, stage.build)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        source = ANSWERS.format(label=label, version=packed.version, remark=remark)
        archive.writestr(zipfile.ZipInfo("handler.py"), source)
    sha256 = hashlib.sha256(code.getvalue()).hexdigest()
    (stage.build / "function.zip").write_bytes(code.getvalue())
    release = replace(
        packed, function=Artifact(key=f"function/{sha256}/function.zip", sha256=sha256)
    )
    write_release(release, stage.build / "release.tfvars.json")
    return release


def alias_of(account: Account, stage: Stage) -> tuple[str, dict[str, float]]:
    """The version that callers get, and the weights of others."""
    alias = account.client("lambda").get_alias(FunctionName=stage.name, Name="live")
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return alias["FunctionVersion"], weights


def test_changed_code_reaches_everybody_only_when_it_passes_its_trial(
    service: Stage, account: Account, local_aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    release_code(service, "dog", "first")
    assert deploy.main([]) == 0, capsys.readouterr().err
    release_code(service, "cat", "second")
    capsys.readouterr()
    wrong = deploy.main([])
    complaint = capsys.readouterr()
    after_wrong = alias_of(account, service)
    release_code(service, "dog", "third")
    right = deploy.main([])
    told = capsys.readouterr().out
    after_right = alias_of(account, service)
    again = deploy.main([])
    api_url = json.loads((service.build / "stack.json").read_text())["function"]["api_url"]
    keys = keys_in(local_aws.env)
    reply = send("POST", api_url, b"?", kind="image/jpeg", region=account.region, keys=keys)

    assert (wrong, right, again) == (1, 0, 0)
    assert "50 % of the callers try version 2" in complaint.out
    assert "says cat (0.800) of its golden picture" in complaint.err
    assert "Version 2" in complaint.err
    assert "version 1 answers everybody" in complaint.err
    assert after_wrong == ("1", {})
    assert "the others keep version 1" in told
    assert "Everybody has version 3" in told
    assert after_right == ("3", {})
    assert (reply.status_code, json.loads(reply.content)["predictions"][0]["label"]) == (200, "dog")
    assert "No changes." in capsys.readouterr().out


@contextmanager
def callers(local_aws: Any, name: str) -> Iterator[None]:
    """Somebody who asks the alias all the time, always the same that fails."""
    over = threading.Event()

    def call() -> None:
        client = local_aws.client("lambda")
        while not over.is_set():
            event = json.dumps({"do": "fail"}).encode()
            client.invoke(FunctionName=name, Qualifier="live", Payload=event)["Payload"].read()

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_version_that_fails_its_callers_does_not_pass_whatever_it_says_of_the_picture(
    local_aws: Any, account: Account
) -> None:
    client = account.client("lambda")
    name = make_function(local_aws, make_role(local_aws, "lambda.amazonaws.com", []))
    newer = zipped(HANDLER + "# newer\n")
    client.update_function_code(FunctionName=name, ZipFile=newer, Publish=True)
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    client.update_alias(FunctionName=name, Name="live", RoutingConfig=weights)
    function = Function(alias="live", api_url=None, name=name, url="")
    trial = open_trial(client, function)
    assert trial is not None
    asked: list[str] = []

    with callers(local_aws, name), pytest.raises(Failed, match="Version 2 of .* failed"):
        watch(
            account,
            function,
            trial,
            Canary(percent=50, seconds=60),
            lambda new: asked.append(new.alias),
        )

    assert set(asked) == {"2"}
    assert (trial.old_version, trial.new_version) == ("1", "2")
