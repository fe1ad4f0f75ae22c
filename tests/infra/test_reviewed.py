"""Reviewed files: what differs is shown in lines, and written only when that is asked for."""

from pathlib import Path

import pytest
from tests.infra.reviewed import Reviewed


def test_a_file_that_says_what_is_so_passes(tmp_path: Path) -> None:
    file = tmp_path / "table.txt"
    file.write_text("a role may little\n")

    Reviewed(regenerate=False).check(file, "a role may little\n")


def test_what_is_more_than_was_reviewed_is_shown_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "table.txt"
    file.write_text("a role may little\n")

    with pytest.raises(pytest.fail.Exception) as failure:
        Reviewed(regenerate=False).check(file, "a role may little\na role may more\n")

    assert "\n+a role may more\n" in str(failure.value)
    assert "make regenerate" in str(failure.value)
    assert file.read_text() == "a role may little\n"


def test_a_file_that_nobody_has_reviewed_fails(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"\+a role may little"):
        Reviewed(regenerate=False).check(tmp_path / "table.txt", "a role may little\n")


def test_a_file_is_written_anew_when_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "table.txt"

    Reviewed(regenerate=True).check(file, "a role may more\n")

    assert file.read_text() == "a role may more\n"
