"""Files that a person has read, compared with what is so."""

import difflib
from pathlib import Path

import pytest
from tests.infra.conftest import REPOSITORY

COMMAND = "make regenerate"


class Reviewed:
    """Compares; or, when asked to, writes the files anew for a person to read."""

    def __init__(self, *, regenerate: bool) -> None:
        self.regenerate = regenerate

    def check(self, file: Path, text: str) -> None:
        """Fail when a file says something else than it should, and show the difference."""
        if self.regenerate:
            file.write_text(text)
            return
        said = file.read_text() if file.exists() else ""
        if said != text:
            pytest.fail(advice(file, said, text), pytrace=False)


def advice(file: Path, said: str, text: str) -> str:
    """The difference in lines, and what to do about it."""
    name = str(file.relative_to(REPOSITORY)) if file.is_relative_to(REPOSITORY) else str(file)
    difference = difflib.unified_diff(
        said.splitlines(), text.splitlines(), f"{name}, reviewed", "as it is now", lineterm="", n=3
    )
    lines = [f"{name} does not say what is so now:", "", *difference, ""]
    lines.append(f"Every added line is more than was reviewed. If it is meant: {COMMAND}, read")
    lines.append("the difference once more (`git diff`), and commit it with the change.")
    return "\n".join(lines)
