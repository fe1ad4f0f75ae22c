import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.pipeline.conftest import Stage

from pipeline.aws import Account
from pipeline.state import ensure_state_bucket, remove_state_bucket
from pipeline.terraform import Change, Terraform, TerraformFailed
from pipeline.turns import Turn

SOURCE = str(Path(__file__).parents[2] / "src")
CONFIGURATION = {"key": "terraform.tfstate", "use_lockfile": "true"}


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[Turn]:
    with Turn(tmp_path / "turns") as turn:
        yield turn


@pytest.fixture
def terraform(account: Account, stage: Stage, turn: Turn) -> Terraform:
    bucket = ensure_state_bucket(account, stage.name, lambda _: None)
    data = stage.build / "terraform"
    terraform = Terraform(Path("infra"), data, account.region, lambda _: None, turn)
    terraform.init({"bucket": bucket, "region": account.region, **CONFIGURATION})
    return terraform


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, turn: Turn, body: str) -> Terraform:
    """A program named terraform that does what the shell lines say."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "terraform"
    program.write_text(f"#!/bin/sh\necho run >> {folder}/runs\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    return Terraform(folder, folder / "data", "us-east-1", lambda _: None, turn)


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines())


@pytest.mark.slow
def test_what_is_planned_is_applied_and_then_nothing_changes(
    terraform: Terraform, stage: Stage
) -> None:
    first = terraform.plan([stage.settings_file], {})
    terraform.apply()
    second = terraform.plan([stage.settings_file], {})

    assert first == (Change("terraform_data.base", "create"),)
    assert second is None
    assert terraform.output("stack")["name"] == stage.name


@pytest.mark.slow
def test_before_the_first_apply_there_is_no_output(terraform: Terraform) -> None:
    assert terraform.output("stack") is None


@pytest.mark.slow
def test_a_destroy_plan_removes_everything(terraform: Terraform, stage: Stage) -> None:
    terraform.plan([stage.settings_file], {})
    terraform.apply()

    changes = terraform.plan([stage.settings_file], {}, destroy=True)
    terraform.apply()

    assert changes == (Change("terraform_data.base", "delete"),)
    assert terraform.output("stack") is None


@pytest.mark.slow
def test_terraforms_own_words_are_the_error(terraform: Terraform, stage: Stage) -> None:
    stage.change_settings(tags={"broken": "yes"})

    with pytest.raises(TerraformFailed, match="This stack is broken on purpose"):
        terraform.plan([stage.settings_file], {})


@pytest.mark.slow
def test_the_state_bucket_is_versioned_encrypted_and_private(
    account: Account, stage: Stage
) -> None:
    s3, said = account.client("s3"), list[str]()

    bucket = ensure_state_bucket(account, stage.name, said.append)
    ensure_state_bucket(account, stage.name, said.append)

    assert bucket == f"{stage.name}-state-{account.account_id()}-{account.region}"
    assert len(said) == 1
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(blocked.values())
    assert s3.get_bucket_encryption(Bucket=bucket)


@pytest.mark.slow
def test_the_state_bucket_is_removed_with_all_its_versions(account: Account, stage: Stage) -> None:
    s3 = account.client("s3")
    bucket = ensure_state_bucket(account, stage.name, lambda _: None)
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="terraform.tfstate", Body=body)
    s3.delete_object(Bucket=bucket, Key="terraform.tfstate")

    remove_state_bucket(account, bucket)

    assert bucket not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


def test_a_provider_that_did_not_answer_is_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: Turn
) -> None:
    body = '[ $(wc -l < runs) -gt 1 ] || { echo "Error: Plugin did not respond"; exit 1; }'
    terraform = fake(tmp_path, monkeypatch, turn, body)

    assert terraform.plan([], {}) is None
    assert runs(tmp_path) == 2


def test_another_error_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: Turn
) -> None:
    terraform = fake(tmp_path, monkeypatch, turn, "echo nonsense; exit 1")

    with pytest.raises(TerraformFailed, match="nonsense"):
        terraform.plan([], {})

    assert runs(tmp_path) == 1


def test_a_provider_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: Turn
) -> None:
    terraform = fake(tmp_path, monkeypatch, turn, "echo Plugin did not respond; exit 1")

    with pytest.raises(TerraformFailed, match="Plugin did not respond"):
        terraform.plan([], {})

    assert runs(tmp_path) == 2


def test_a_lock_names_its_holder_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: Turn
) -> None:
    body = """cat <<'END'
Error acquiring the state lock
Error message: api error PreconditionFailed: At least one of the pre-conditions did not hold
Lock Info:
  ID:        b61e295d
  Operation: OperationTypePlan
  Who:       ada@laptop
  Version:   1.11.4
  Created:   2026-11-22 18:11:25.37 +0000 UTC
You can disable locking with the "-lock=false" flag.
END
exit 1"""
    terraform = fake(tmp_path, monkeypatch, turn, body)

    with pytest.raises(TerraformFailed, match="ada@laptop .* since 2026-11-22 18:11") as failure:
        terraform.plan([], {})

    assert "make unlock" in str(failure.value)
    assert "-lock=false" not in str(failure.value)


def test_a_configuration_file_that_does_not_exist_is_not_named_to_terraform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: Turn
) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "missing"))
    terraform = fake(tmp_path, monkeypatch, turn, '[ -z "$TF_CLI_CONFIG_FILE" ]')

    terraform.init({})


def test_a_second_interrupt_reaches_terraform_and_nothing_stays_behind(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "terraform"
    program.write_text(
        f"#!{sys.executable}\n"
        "import signal, sys\n"
        f"heard = open({str(tmp_path / 'heard')!r}, 'w', buffering=1)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        "print('started', file=heard)\n"
        "for word in ('once', 'twice'):\n"
        "    if not signal.sigtimedwait({signal.SIGINT}, 10):\n"
        "        break\n"
        "    print(word, file=heard)\n"
    )
    program.chmod(0o755)
    os.mkfifo(tmp_path / "heard")
    verb = (
        "from pathlib import Path; from pipeline.terraform import Terraform;"
        "from pipeline.turns import Turn;"
        "Terraform(Path(), Path('data'), 'us-east-1', print, Turn(Path('data'))).apply()"
    )
    env = os.environ | {"PATH": f"{program.parent}:/usr/bin:/bin", "PYTHONPATH": SOURCE}

    with subprocess.Popen(
        [sys.executable, "-c", verb], cwd=tmp_path, env=env, stderr=subprocess.PIPE
    ) as person:
        with (tmp_path / "heard").open() as heard:
            words = []
            for line in heard:
                words.append(line.strip())
                if words[-1] != "twice":
                    person.send_signal(signal.SIGINT)
        assert person.stderr is not None
        complaint = person.stderr.read().decode()

    assert words == ["started", "once", "twice"]
    assert "KeyboardInterrupt" in complaint
