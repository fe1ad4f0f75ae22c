"""`make bootstrap`, against a local AWS."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.pipeline.conftest import Stage

from contract.settings import Settings
from contract.strict import ContractError
from pipeline import bootstrap
from pipeline.aws import Account, bucket_exists
from pipeline.bootstrap import is_bootstrapped, is_of_bootstrap, project_of, require_boundary
from pipeline.leftovers import find_leftovers
from pipeline.opening import open_terraform, take_turn
from pipeline.rights import Project
from pipeline.state import STATE_KEY, state_bucket

pytestmark = pytest.mark.slow


@pytest.fixture
def project(account: Account, stage: Stage) -> Iterator[Project]:
    """A project that was bootstrapped."""
    project = project_of(stage.place.settings, account.account_id())
    bootstrap.bootstrap(account, project, {"project": project.name})
    yield project
    if is_bootstrapped(account, project.name):
        bootstrap.remove(account, project)


def settings_of(stage: Stage, boundary_arn: str | None) -> Settings:
    return replace(stage.place.settings, permissions_boundary_arn=boundary_arn)


def test_a_second_time_changes_nothing(
    account: Account, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    bootstrap.bootstrap(account, project, {"project": project.name})

    told = capsys.readouterr().out.splitlines()
    assert len(told) == 10  # boundary, role and eight policies
    assert all(line.startswith("There already: ") for line in told)


def test_the_state_bucket_is_versioned_encrypted_private_and_wants_tls(
    account: Account, project: Project
) -> None:
    s3, bucket = account.client("s3"), project.state.rpartition(":")[2]

    versioning = s3.get_bucket_versioning(Bucket=bucket)["Status"]
    access = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]

    assert versioning == "Enabled"
    assert all(access.values())
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_other_settings_change_the_policies_and_take_back_what_is_too_much(
    account: Account, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"arn:aws:kms:us-east-1:{project.account_id}:key/1"
    capsys.readouterr()

    bootstrap.bootstrap(account, replace(project, own_vpc=True, kms_key_arn=key), {})
    wider = capsys.readouterr().out
    bootstrap.bootstrap(account, project, {})
    narrower = capsys.readouterr().out

    assert f"Made the policy {project.name}-deployer-network." in wider
    assert f"Changed the policy {project.name}-deployer-storage." in wider
    assert f"Changed the policy {project.name}-boundary." in wider
    assert "these settings do not need it" in narrower
    assert f"Changed the policy {project.name}-deployer-storage." in narrower


def test_a_policy_can_change_as_often_as_it_must(account: Account, project: Project) -> None:
    iam, arn = account.client("iam"), project.own_boundary

    for number in range(7):
        key = f"arn:aws:kms:us-east-1:{project.account_id}:key/{number}"
        bootstrap.bootstrap(account, replace(project, kms_key_arn=key), {})

    current = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=current)["PolicyVersion"]["Document"]
    assert "key/6" in json.dumps(document)
    assert len(iam.list_policy_versions(PolicyArn=arn)["Versions"]) <= 5


def test_a_boundary_of_the_account_is_used_and_none_is_made(account: Account, stage: Stage) -> None:
    arn = f"arn:aws:iam::{account.account_id()}:policy/everybody"
    project = project_of(settings_of(stage, arn), account.account_id())

    bootstrap.bootstrap(account, project, {})
    made = find_leftovers(account, project.name)
    bootstrap.remove(account, project)

    assert f"policy {project.name}-boundary" not in made
    assert f"role {project.name}-deployer" in made


@pytest.mark.parametrize(
    ("address", "repositories"),
    [
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/dogs/serve:1", ("dogs/serve",)),
        ("210987654321.dkr.ecr.us-east-1.amazonaws.com/dogs:1", ()),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/dogs:1", ()),
        ("pytorch-inference:2.6.0", ()),
    ],
)
def test_the_deployer_looks_at_an_image_of_this_account_only(
    stage: Stage, address: str, repositories: tuple[str, ...]
) -> None:
    settings = stage.place.settings
    changed = replace(settings, endpoint=replace(settings.endpoint, image=address))

    assert project_of(changed, "123456789012").own_repositories == repositories


def test_what_it_made_is_told_from_what_a_stack_left(account: Account, project: Project) -> None:
    found = find_leftovers(account, project.name)

    assert found
    assert [one for one in found if not is_of_bootstrap(project.name, one)] == []
    assert not is_of_bootstrap("kennel", "role kennel-function")
    assert not is_of_bootstrap("kennel", "bucket kennel-deployer")


def test_removing_leaves_nothing(account: Account, project: Project) -> None:
    bootstrap.remove(account, project)

    assert find_leftovers(account, project.name) == []
    assert not bucket_exists(account.client("s3"), project.state.rpartition(":")[2])


def test_it_is_not_removed_below_a_stack_that_stands(
    account: Account, stage: Stage, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"resources": [{"type": "aws_s3_bucket"}]}
    bucket = state_bucket(project.name, project.account_id, project.region)
    account.client("s3").put_object(Bucket=bucket, Key=STATE_KEY, Body=json.dumps(state).encode())

    code = bootstrap.main(
        ["--remove", "--settings", str(stage.settings_file), "--build", str(stage.build)]
    )

    assert code == 2
    assert f"{project.name} still stands" in capsys.readouterr().err
    assert is_bootstrapped(account, project.name)


def test_the_deployer_is_told_to_name_the_boundary(
    account: Account, stage: Stage, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = project.iam(f"role/{project.name}-deployer")
    keys = account.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    deployer = Account(account.region)

    require_boundary(deployer, settings_of(stage, project.own_boundary))
    require_boundary(account, settings_of(stage, None))
    with pytest.raises(ContractError, match=f'"{project.own_boundary}"'):
        require_boundary(deployer, settings_of(stage, None))


def test_an_account_that_was_not_prepared_is_told_so(account: Account, stage: Stage) -> None:
    place = replace(stage.place, settings=replace(stage.place.settings, stage="aws"))

    with (
        take_turn(place, account) as turn,
        pytest.raises(ContractError, match="make bootstrap STAGE=aws"),
    ):
        open_terraform(place, account, turn)
