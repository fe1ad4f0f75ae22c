import gzip
import tarfile
import zipfile
from pathlib import Path

from pipeline.archives import Entry, read_member, write_tar_gz, write_zip


def entries(folder: Path) -> list[Entry]:
    (folder / "big").write_bytes(bytes(range(256)) * 1000)
    (folder / "empty").write_bytes(b"")
    (folder / "tool").write_bytes(b"#!/bin/sh\n")
    return [
        Entry("z/tool.sh", folder / "tool", executable=True),
        Entry("a/big.bin", folder / "big"),
        Entry("empty", folder / "empty"),
    ]


def test_a_tar_gz_holds_what_was_put_in_and_unpacks_everywhere(tmp_path: Path) -> None:
    archive = tmp_path / "some.tar.gz"

    write_tar_gz(entries(tmp_path), archive)

    with gzip.open(archive) as plain, tarfile.open(fileobj=plain) as tar:
        assert tar.getnames() == ["a/big.bin", "empty", "z/tool.sh"]
        assert [member.mode for member in tar.getmembers()] == [0o644, 0o644, 0o755]
        assert {(m.mtime, m.uid, m.gid, m.uname) for m in tar.getmembers()} == {(0, 0, 0, "")}
    assert read_member(archive, "a/big.bin") == (tmp_path / "big").read_bytes()
    assert read_member(archive, "empty") == b""


def test_a_tar_gz_does_not_depend_on_the_version_of_zlib(tmp_path: Path) -> None:
    archive = tmp_path / "some.tar.gz"
    (tmp_path / "one").write_bytes(b"1")

    write_tar_gz([Entry("one", tmp_path / "one")], archive)

    data = archive.read_bytes()
    assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    assert data[10:15] == b"\x01\x00\x28\xff\xd7"  # one stored block of 10,240 bytes


def test_a_zip_holds_what_was_put_in(tmp_path: Path) -> None:
    archive = tmp_path / "some.zip"

    write_zip(entries(tmp_path), archive)

    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == ["a/big.bin", "empty", "z/tool.sh"]
        assert opened.read("a/big.bin") == (tmp_path / "big").read_bytes()
        assert opened.getinfo("z/tool.sh").external_attr >> 16 == 0o100755
