"""Archives from elsewhere: plain files, or a refusal by name and nothing on the disk."""

from pathlib import Path

import pytest
from tests.full_disk import full_disk
from tests.hostile_archives import Attack, attacks, good, member, pickles, tar_gz

from contract.strict import ContractError
from pipeline.unpacking import unpack


@pytest.mark.parametrize("attack", [*attacks(), *pickles()], ids=lambda attack: attack.name)
def test_an_archive_that_does_harm_is_refused_by_name_and_leaves_nothing(
    tmp_path: Path, attack: Attack
) -> None:
    archive = tmp_path / "in" / "model.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(attack.data)

    with pytest.raises(ContractError, match=attack.message) as caught:
        unpack(archive, tmp_path / "out" / "model")

    assert "model.tar.gz" in str(caught.value)
    assert list((tmp_path / "out").rglob("*")) == []
    assert [path.name for path in tmp_path.iterdir()] in (["in", "out"], ["out", "in"])


def test_a_good_archive_is_unpacked_without_more_rights_than_it_needs(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    info, content = member("run.sh", b"#!/bin/sh")
    info.mode = 0o6777
    archive.write_bytes(tar_gz((info, content), member("empty", b"")))

    unpack(archive, tmp_path / "model")

    assert (tmp_path / "model" / "run.sh").read_bytes() == b"#!/bin/sh"
    assert (tmp_path / "model" / "run.sh").stat().st_mode & 0o7777 == 0o744
    assert (tmp_path / "model" / "empty").read_bytes() == b""


def test_what_was_left_half_unpacked_before_does_not_matter(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(good())
    (tmp_path / "model.partial").mkdir()
    (tmp_path / "model.partial" / "old").touch()
    (tmp_path / "model").mkdir()

    unpack(archive, tmp_path / "model")

    found = {p.relative_to(tmp_path / "model").as_posix() for p in (tmp_path / "model").rglob("*")}
    assert found == {"code", "code/serve.py", "weights.bin"}


def test_a_disk_that_is_full_halfway_keeps_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(tar_gz(member("small", b"whole"), member("large", bytes(300_000))))

    with full_disk(100_000), pytest.raises(OSError, match="File too large"):
        unpack(archive, tmp_path / "model")

    assert [path.name for path in tmp_path.iterdir()] == ["model.tar.gz"]
