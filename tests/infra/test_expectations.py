"""The comparison of plans with files, and how a file is written anew."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.infra import expectations

FILE = """\
# Why this file is there.
values:
  module.bucket.aws_s3_bucket.this:
    bucket: dogs  # the name
    rule:
      - days: 30
        prefix: runs/
      - days: 7
    policy: {Statement: [{Sid: TlsOnly}]}
  # Not looked at any more.
  aws_vpc.this: {cidr_block: 10.0.0.0/8}
counts:
  aws_s3_bucket: 2
outputs:
  stack: {stage: local}
"""


def plan(**changes: Any) -> Any:
    bucket = {
        "bucket": "cats",
        "policy": '{"Statement": [{"Sid": "Open", "Effect": "Allow"}]}',
        "rule": [{"days": 31, "prefix": "runs/", "status": "Enabled"}],
        "unlisted": 1,
        **changes,
    }
    address = "module.bucket.aws_s3_bucket.this"
    resource = {"address": address, "mode": "managed", "values": bucket}
    child = SimpleNamespace(resources={address: resource}, child_modules={})
    return SimpleNamespace(
        root_module=SimpleNamespace(resources={}, child_modules={"bucket": child}),
        output_changes={"stack": {"after": {"stage": "aws"}}},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "local.yaml"
    file.write_text(FILE)
    return file


def test_every_difference_is_told_with_the_command_that_accepts_it(file: Path) -> None:
    with pytest.raises(AssertionError) as refused:
        expectations.check(plan(), file, regenerate=False)

    told = str(refused.value)
    assert "values module.bucket.aws_s3_bucket.this.bucket is 'cats', not 'dogs'" in told
    assert "this.policy.Statement.0.Sid is 'Open', not 'TlsOnly'" in told
    assert "aws_vpc.this is not planned" in told
    assert "1 of aws_s3_bucket are planned, not 2" in told
    assert "outputs stack.stage is 'aws', not 'local'" in told
    assert "unlisted" not in told
    assert "`make regenerate`" in told
    assert file.read_text() == FILE


def test_writing_anew_changes_what_is_listed_and_nothing_else(file: Path) -> None:
    with pytest.raises(AssertionError, match="aws_vpc.this is not planned"):
        expectations.check(plan(), file, regenerate=True)

    assert (
        file.read_text()
        == """\
# Why this file is there.
values:
  module.bucket.aws_s3_bucket.this:
    bucket: cats  # the name
    rule:
      [{days: 31, prefix: runs/}]
    policy: {Statement: [{Sid: Open}]}
  # Not looked at any more.
  aws_vpc.this: {cidr_block: 10.0.0.0/8}
counts:
  aws_s3_bucket: 1
outputs:
  stack: {stage: aws}
"""
    )


def test_what_a_plan_no_longer_gives_is_written_as_null(file: Path) -> None:
    file.write_text("values:\n  module.bucket.aws_s3_bucket.this: {gone: 3, bucket: cats}\n")

    expectations.check(plan(), file, regenerate=True)

    assert "{gone: null, bucket: cats}" in file.read_text()
