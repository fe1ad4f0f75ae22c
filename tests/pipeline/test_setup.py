"""Set-up gets Terraform only when its checksum is right, and finds the provider by itself."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from pipeline import setup

MACHINE = "linux_amd64"


def mirror_with(archive: bytes, folder: Path) -> str:
    name = f"terraform_{setup.TERRAFORM_VERSION}_{MACHINE}.zip"
    (folder / setup.TERRAFORM_VERSION).mkdir(parents=True)
    (folder / setup.TERRAFORM_VERSION / name).write_bytes(archive)
    return folder.as_uri()


def zipped(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("terraform", program)
    return buffer.getvalue()


def test_a_terraform_with_the_right_checksum_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(b"#!/bin/sh\n")
    monkeypatch.setitem(setup.TERRAFORM_SHA256, MACHINE, hashlib.sha256(archive).hexdigest())

    setup.download_terraform(mirror_with(archive, tmp_path / "m"), tmp_path / "bin", MACHINE)

    assert (tmp_path / "bin" / "terraform").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "bin" / "terraform").stat().st_mode & 0o111


def test_a_terraform_with_another_checksum_is_refused(tmp_path: Path) -> None:
    mirror = mirror_with(zipped(b"malware"), tmp_path / "m")

    with pytest.raises(setup.SetupError, match="Nothing was installed"):
        setup.download_terraform(mirror, tmp_path / "bin", MACHINE)

    assert not (tmp_path / "bin").exists()


def test_an_unreachable_mirror_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(setup.SetupError, match="Install Terraform 1.11 or later, or name a mirror"):
        setup.download_terraform((tmp_path / "none").as_uri(), tmp_path / "bin", MACHINE)


def test_an_unknown_machine_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(setup.SetupError, match="no Terraform is known for plan9_sparc"):
        setup.download_terraform(tmp_path.as_uri(), tmp_path / "bin", "plan9_sparc")


def test_a_named_provider_mirror_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / setup.PROVIDER / setup.PROVIDER_VERSION / setup.this_platform()
    place.mkdir(parents=True)
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(tmp_path))

    setup.write_cli_config(tmp_path / "build" / "terraform.rc", setup.find_mirror())

    assert f'path = "{tmp_path}"' in (tmp_path / "build" / "terraform.rc").read_text()


def test_a_wrong_provider_mirror_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(tmp_path))

    with pytest.raises(setup.SetupError, match="Correct it, or unset it"):
        setup.find_mirror()
