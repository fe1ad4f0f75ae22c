"""What is read from user data."""

import base64
import gzip

import pytest

from localaws.machines.boot import Script, read_user_data

SHELL = b"#!/bin/sh\necho hello\n"
MIME = b"""Content-Type: multipart/mixed; boundary="//"
MIME-Version: 1.0

--//
Content-Type: text/cloud-config; charset="us-ascii"

#cloud-config
cloud_final_modules:
- [scripts-user, always]

--//
Content-Type: text/x-shellscript; charset="us-ascii"
Content-Disposition: attachment; filename="user.sh"

#!/bin/sh
echo user
--//
Content-Type: text/x-shellscript-per-boot
Content-Disposition: attachment; filename="../each.sh"

#!/bin/sh
echo each
--//
Content-Type: text/cloud-boothook

#!/bin/sh
echo hook
--//--
"""


def stages(data: bytes) -> list[tuple[str, str]]:
    return [(script.name, script.stage) for script in read_user_data(data).scripts]


@pytest.mark.parametrize(
    "data", [SHELL, base64.b64encode(SHELL), gzip.compress(SHELL)], ids=["plain", "base64", "gzip"]
)
def test_a_script_is_found_however_it_is_packed(data: bytes) -> None:
    script = Script(name="part-001", text=SHELL, stage="first-boot")

    assert read_user_data(data).scripts == (script,)


def test_parts_run_in_the_order_of_cloud_init_and_stay_in_their_folder() -> None:
    found = stages(MIME.replace(b"- [scripts-user, always]", b"- none"))

    assert found == [
        ("part-004", "boothook"),
        (".._each.sh", "per-boot"),
        ("user.sh", "first-boot"),
    ]


def test_scripts_run_at_every_boot_when_the_configuration_says_so() -> None:
    assert ("user.sh", "per-boot") in stages(MIME)


def test_a_boothook_needs_no_content_type() -> None:
    found = read_user_data(b"#cloud-boothook\n" + SHELL)

    assert found.scripts == (Script(name="part-001", text=SHELL, stage="boothook"),)


def test_what_is_not_imitated_is_named() -> None:
    found = read_user_data(b"#cloud-config\npackages: [git]\n")

    assert found.scripts == ()
    assert found.refused == (
        "user data part-001: text/x-not-multipart is not imitated, only scripts are.",
    )


def test_no_user_data_is_no_script() -> None:
    assert read_user_data(b"").scripts == ()
    assert read_user_data(b"").refused == ()
