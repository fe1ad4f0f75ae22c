import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.pipeline.conftest import Stage
from tests.pipeline.models import write_model
from tests.pipeline.test_package import REPOSITORY

from contract.release import Artifact, Release
from contract.strict import ContractError
from pipeline import deploy, rollback
from pipeline.adopting import DEPOSED, replaced
from pipeline.aws import Account
from pipeline.cli import confirm
from pipeline.package import package_release
from pipeline.releases import Record, find_release, record, records
from pipeline.restore import restored, take_refused

UNREACHABLE = "/no/such/folder"


def a_release(model: str) -> Release:
    def artifact(kind: str, file: str, digit: str) -> Artifact:
        return Artifact(key=f"{kind}/{digit * 64}/{file}", sha256=digit * 64)

    return Release(
        function=artifact("function", "function.zip", "f"),
        model=artifact("model", "model.tar.gz", model),
        training=artifact("training", "training.tar.gz", "e"),
    )


@pytest.fixture
def stack_bucket(account: Account, stage: Stage) -> Iterator[str]:
    s3, name = account.client("s3"), f"{stage.name}-bucket"
    s3.create_bucket(Bucket=name)
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("scalling", {}, "did you mean 'scaling'"),
        ("name", "Kennel", "lowercase letters"),
        ("stage", "aws", "it must say 'local'"),
    ],
)
def test_a_wrong_setting_is_named_before_terraform_or_aws_are_called(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str,
    value: object,
    complaint: str,
) -> None:
    stage.change_settings(**{key: value})
    monkeypatch.setenv("PATH", UNREACHABLE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    code = deploy.main([])

    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert complaint in said.err


def test_a_wrong_release_is_named_before_terraform_or_aws_are_called(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", UNREACHABLE)
    (stage.build / "release.tfvars.json").write_text('{"release": {}}')

    assert deploy.main([]) == 2
    assert "release" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("account")
def test_a_first_apply_writes_the_stack_and_a_second_changes_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = deploy.main([]), deploy.main([]), deploy.main(["--plan"])

    said = capsys.readouterr().out
    assert codes == (0, 0, 0)
    assert json.loads((stage.build / "stack.json").read_text())["name"] == stage.name
    assert said.count("Changes: 1 to make.") == 1
    assert said.count("No changes.") == 2


@pytest.mark.slow
@pytest.mark.usefixtures("account")
def test_a_plan_changes_nothing(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["--plan"]) == 0
    assert deploy.main(["--plan"]) == 0

    assert capsys.readouterr().out.count("+ terraform_data.base") == 2
    assert not (stage.build / "stack.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("account", "stack_bucket")
def test_what_serves_is_not_removed_because_the_release_file_is_missing(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(stage.build / "model")
    release = package_release(REPOSITORY, stage.build)
    assert deploy.main([]) == 1  # this Terraform makes no function that could answer
    assert "kennel" not in capsys.readouterr().out
    (stage.build / "release.tfvars.json").unlink()

    refused = deploy.main([])
    complaint = capsys.readouterr().err
    told = deploy.main(["--without-release"])

    assert refused == 2
    assert f"Model {release.version} serves" in complaint
    assert told == 0
    assert "- terraform_data.endpoint[0]" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("account")
def test_an_apply_that_fails_leaves_the_stack_file_as_it_was(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy.main([])
    before = (stage.build / "stack.json").read_bytes()
    stage.change_settings(tags={"broken": "yes"})

    code = deploy.main([])

    assert code == 1
    assert "This stack is broken on purpose." in capsys.readouterr().err
    assert (stage.build / "stack.json").read_bytes() == before


def test_nobody_there_to_answer_means_no() -> None:
    with pytest.raises(ContractError, match="--yes"):
        confirm("Apply this?")


def test_going_back_takes_the_last_verified_release_that_is_not_live() -> None:
    first, second = a_release("a"), a_release("b")
    known = [
        Record(time=f"2026-11-22T10:0{i}:00Z", release=r) for i, r in enumerate((first, second))
    ]

    assert find_release(known, second.name, None) == first
    assert find_release(known, first.name, None) == second
    assert find_release(known, second.name, "aaa") == first


def test_two_releases_of_one_model_are_told_apart_by_their_function() -> None:
    first = a_release("a")
    function = Artifact(key=f"function/{'c' * 64}/function.zip", sha256="c" * 64)
    second = replace(first, function=function)
    known = [
        Record(time=f"2026-11-22T10:0{i}:00Z", release=r) for i, r in enumerate((first, second))
    ]

    assert find_release(known, second.name, None) == first
    assert find_release(known, first.name, "aaaaaaaaaaaa/c") == second


@pytest.mark.parametrize("version", [None, "ccc"])
def test_going_back_to_nothing_lists_what_there_is(version: str | None) -> None:
    known = [Record(time="2026-11-22T10:00:00Z", release=a_release("a"))]

    with pytest.raises(ContractError, match="Verified releases: aaaaaaaaaaaa"):
        find_release(known, a_release("a").name, version)


@pytest.mark.slow
def test_a_release_is_written_down_once_until_another_comes(account: Account, bucket: str) -> None:
    s3 = account.client("s3")

    for digit in "aabba":
        record(s3, bucket, a_release(digit))

    versions = [known.release.version[0] for known in records(s3, bucket)]
    assert versions == ["a", "b", "a"]


@pytest.mark.usefixtures("stage")
def test_rolling_back_without_a_stack_names_the_verb_that_makes_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert rollback.main([]) == 2
    assert "make apply" in capsys.readouterr().err


def a_state(current: str, deposed: str) -> dict[str, object]:
    instances = [
        {"attributes": {"name": current}},
        {"attributes": {"name": deposed}, "deposed": "abc"},
    ]
    return {
        "serial": 5,
        "resources": [{"type": "aws_sagemaker_model", "instances": instances}],
    }


def test_after_a_rolled_back_update_what_serves_is_current_again() -> None:
    repaired = restored(a_state(current="new", deposed="old"), serving={"old"})

    expected = a_state(current="old", deposed="new") | {"serial": 6}
    assert repaired is not None
    assert [i for r in repaired["resources"] for i in r["instances"]] == list(
        reversed(expected["resources"][0]["instances"])  # type: ignore[index]  # test data
    )
    assert repaired["serial"] == 6


def test_after_a_rolled_back_update_what_was_refused_is_taken_out() -> None:
    state = a_state(current="old", deposed="new")

    refused = take_refused(state, serving={"old"})

    assert refused == {("aws_sagemaker_model", "new")}
    assert [
        i["attributes"]["name"]
        for r in state["resources"]  # type: ignore[attr-defined]  # test data
        for i in r["instances"]
    ] == ["old"]


@pytest.mark.slow
@pytest.mark.usefixtures("account", "stack_bucket")
def test_an_endpoint_that_is_off_is_neither_verified_nor_forgotten(
    stage: Stage, capsys: pytest.CaptureFixture[str], account: Account, stack_bucket: str
) -> None:
    write_model(stage.build / "model")
    package_release(REPOSITORY, stage.build)
    endpoint = json.loads(stage.settings_file.read_text())["endpoint"]
    stage.change_settings(endpoint=endpoint | {"mode": "off"})

    switched = deploy.main([])
    said = capsys.readouterr().out
    (stage.build / "release.tfvars.json").unlink()
    refused = deploy.main([])

    assert switched == 0
    assert "The endpoint is off" in said
    assert records(account.client("s3"), stack_bucket) == []
    assert refused == 2
    assert f"Function {stage.name} stands, with its endpoint off" in capsys.readouterr().err


def test_a_state_whose_current_model_serves_is_left_alone() -> None:
    assert restored(a_state(current="new", deposed="old"), serving={"new"}) is None


def test_only_models_and_configurations_change_places() -> None:
    state = a_state(current="new", deposed="old")
    state["resources"][0]["type"] = "aws_sagemaker_endpoint"  # type: ignore[index]  # test data

    assert restored(state, serving={"old"}) is None


def test_what_a_killed_apply_made_to_replace_takes_the_place_of_the_old() -> None:
    def model(name: str, **more: str) -> dict[str, object]:
        arn = f"arn:aws:sagemaker:us-east-1:123456789012:model/{name}"
        return {"attributes": {"arn": arn, "id": name, "name": name}, **more}

    resource = {
        "module": "module.endpoint[0]",
        "type": "aws_sagemaker_model",
        "name": "this",
        "instances": [model("old")],
    }

    changed = replaced(
        {"serial": 5, "resources": [resource]},
        {"module.endpoint[0].aws_sagemaker_model.this": "new"},
    )

    assert changed["resources"][0]["instances"] == [model("old", deposed=DEPOSED), model("new")]
    assert changed["serial"] == 6
    assert resource["instances"] == [model("old")]
