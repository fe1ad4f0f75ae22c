import argparse
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.aws import Account
from pipeline.cli import run_verb, verb_parser

REPOSITORY = Path(__file__).parents[2]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Ask make what it would do."""
    env = {name: v for name, v in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "-n", *words], cwd=REPOSITORY, env=env, capture_output=True, text=True
    )


def test_what_is_gone_says_how_to_make_it_again(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    def verb(_: argparse.Namespace) -> None:
        account.client("s3").list_objects_v2(Bucket="gone")

    assert run_verb(verb_parser(None), [], verb) == 1
    assert "`make apply` makes it again" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def verb(_: argparse.Namespace) -> None:
        tmp_path.read_bytes()

    assert run_verb(verb_parser(None), [], verb) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_path_with_spaces_and_brackets_is_one_word() -> None:
    planned = make("train", "data", "DATA=/my dogs (1)", "BUILD=a b").stdout

    assert '--data "/my dogs (1)" --model-dir "a b/model"' in planned
    assert '--out "/my dogs (1)"' in planned


def test_home_is_understood_where_the_shell_leaves_it() -> None:
    assert f'--data "{Path.home()}/dogs"' in make("train", "DATA=~/dogs").stdout


def test_a_stage_that_does_not_exist_is_refused_by_name() -> None:
    refused = make("plan", "STAGE=production")

    assert refused.returncode == 2
    assert "STAGE is 'production'; it must be local or aws" in refused.stderr
