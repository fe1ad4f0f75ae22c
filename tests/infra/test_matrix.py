"""Every stage of the matrix, really made: a second plan is empty, and nothing stays behind."""

import json
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.infra import expectations, stages
from tests.infra.conftest import Folder
from tests.infra.matrix import LiveStage, archives, release

from pipeline.aws import Account
from pipeline.leftovers import find_leftovers, remove_log_groups

# Another partition can be planned in, but the local AWS makes nothing there.
FILES = [
    file for file in sorted(stages.STAGES.glob("*.yaml")) if "region" not in expectations.read(file)
]
AT_ONCE = 4


@pytest.fixture
def account(local_aws: Any, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The local AWS, as the environment of this process says it."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    for name, value in local_aws.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Account(local_aws.region)


@pytest.fixture
def existing(account: Account) -> dict[str, Any]:
    """What some stages find in the account: a network, a key, a boundary."""
    ec2 = account.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])
    everything = (
        '{"Version": "2012-10-17", "Statement": '
        '[{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
    )
    boundary = account.client("iam").create_policy(
        PolicyName="matrix-boundary", PolicyDocument=everything
    )
    return {
        "network": {
            "mode": "existing",
            "subnet_ids": [subnet["SubnetId"] for subnet in subnets["Subnets"][:2]],
            "vpc_id": vpc["VpcId"],
        },
        "key": account.client("kms").create_key()["KeyMetadata"]["Arn"],
        "boundary": boundary["Policy"]["Arn"],
    }


@pytest.mark.slow
def test_every_stage_is_made_whole_and_leaves_nothing_behind(
    root: Folder, account: Account, existing: dict[str, Any]
) -> None:
    made = archives()

    def problems(numbered: tuple[int, Path]) -> list[str]:
        number, file = numbered
        variables = _variables(file, existing)
        name = variables["name"] = f"m{number}x"
        stage = LiveStage(folder=root, name=name, variables=variables)
        try:
            if variables.get("release"):
                variables["release"] = release(made)
                stage.apply("module.storage.aws_s3_bucket.this")
                if variables["endpoint"]["image"] == "own":
                    stage.apply("module.image")
                    _push(account, f"{name}-serving", variables["image_tag"])
                bucket = f"{name}-{account.account_id()}-{account.region}"
                for kind, (_, content) in made.items():
                    key = variables["release"][kind]["key"]
                    account.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
            stage.apply()
            found = stage.changes()
            if not variables["storage"]["force_destroy"]:
                variables["storage"]["force_destroy"] = True
                stage.apply("module.storage.aws_s3_bucket.this")
            stage.destroy()
            remove_log_groups(account, name)
            return found + [f"still there: {one}" for one in find_leftovers(account, name)]
        except Exception:
            return traceback.format_exc().splitlines()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(FILES, pool.map(problems, enumerate(FILES)), strict=True))

    told = [f"{file.stem}:\n  " + "\n  ".join(lines) for file, lines in found.items() if lines]
    assert not told, "\n".join(told)


def _push(account: Account, repository: str, tag: str) -> None:
    """An image of that name."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": f"sha256:{tag * 4}", "size": 1},
        "layers": [],
    }
    account.client("ecr").put_image(
        repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest)
    )


def _variables(file: Path, existing: dict[str, Any]) -> dict[str, Any]:
    variables = stages.variables(expectations.read(file))
    variables.pop("function_trial", None)  # of a version that a deployment has made
    if variables["network"]["mode"] == "existing":
        variables["network"] = existing["network"]
    if variables["storage"]["kms_key_arn"]:
        variables["storage"]["kms_key_arn"] = existing["key"]
    if variables["permissions_boundary_arn"]:
        variables["permissions_boundary_arn"] = existing["boundary"]
    return variables
