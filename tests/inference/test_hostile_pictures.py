"""Hostile pictures sent to the server, really started: it answers each, and lives."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.events.samples import picture
from tests.inference.serving import Server, serving
from tests.pictures.case import Case
from tests.pictures.cases import hostile_pictures

from contract.messages import STATUS_OF_ERROR

EVERY = 15
"""Of the many that are alike, each so-and-so-many-th is sent; of the others, all."""
PARTS = 6

pytestmark = pytest.mark.slow


def chosen() -> list[Case]:
    many = [one for one in hostile_pictures() if not one.special]
    return [*many[::EVERY], *(one for one in hostile_pictures() if one.special)]


@pytest.fixture(scope="module")
def attacked(base_folder: Path) -> Iterator[Server]:
    with serving(base_folder) as running:
        running.wait_for("ready")
        yield running


@pytest.mark.parametrize("part", range(PARTS))
def test_each_gets_its_answer_and_the_server_is_as_before(attacked: Server, part: int) -> None:
    golden = attacked.invoke(picture("rgb.jpg"))
    pictures = chosen()[part::PARTS]

    faults = [fault for one in pictures if (fault := wrong(attacked, one))]

    assert faults == []
    assert len(pictures) > 100
    assert attacked.invoke(picture("rgb.jpg")).text == golden.text
    assert [line for line in attacked.log if "died" in line["event"]] == []


def wrong(server: Server, one: Case) -> str | None:
    """What is not as it should be with the reply to one picture."""
    reply = server.invoke(one.data, "application/x-image")
    if reply.status not in one.expected:
        return f"{one.name}: {reply.status} {reply.text!r}, wanted {sorted(one.expected)}"
    if reply.status == 200:
        return None if reply.json["predictions"] else f"{one.name}: {reply.text!r}"
    error = reply.json["error"]
    right = STATUS_OF_ERROR[error["code"]] == reply.status and len(error["message"]) > 20
    return None if right else f"{one.name}: {reply.text!r}"
