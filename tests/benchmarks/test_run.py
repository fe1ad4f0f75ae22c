"""Rows against our real server, with a tiny network and tiny durations."""

import os

import pytest
from benchmarks.serving import row_kills
from benchmarks.serving.material import Material
from benchmarks.serving.rows import Setup, find_row
from benchmarks.serving.running import AbsentError, ended, family, memory_mb, running
from benchmarks.serving.sides import ours
from tests.events.samples import picture
from tests.inference.model import CLASSES, add_code, build_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """What rows are given, with a network that answers in a few milliseconds."""
    home = tmp_path_factory.mktemp("measured")
    build_model(home / "ml" / "model")
    add_code(home / "ml" / "model")
    photo = picture("rgb.jpg")
    material = Material(
        home=home, base=home / "ml", build=home / "build", weights=home, photos=home,
        classes=CLASSES, pictures={500: [photo]}, validation=[],
    )  # fmt: skip
    return Setup(
        material=material, serving_core=min(os.sched_getaffinity(0)), rounds=1,
        short_seconds=0.3, long_seconds=0.5, deadline_ms=5000, kills=1, say=lambda _: None,
    )  # fmt: skip


def cells_of(table: str) -> dict[str, str]:
    """The first row of a table, by its columns' names."""
    heading, _, row = (line.strip("| ").split(" | ") for line in table.splitlines()[:3])
    return dict(zip(heading, row, strict=True))


def test_a_long_load_is_measured_and_told(setup: Setup) -> None:
    cells = cells_of(find_row("open-loop").measure(setup))

    assert float(cells["offered"]) == pytest.approx(0.7 * float(cells["peak, requests/s"]), abs=0.2)
    assert "200: " in cells["statuses"]


def test_a_killed_worker_is_replaced_and_the_table_says_when(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_kills, "EVERY_SECONDS", 0.5)

    cells = cells_of(find_row("kills").measure(setup))

    assert cells["kills"] == "1"
    assert 0 < float(cells["seconds until all workers are ready"]) < row_kills.GIVE_UP_SECONDS


def test_nothing_of_a_server_is_left_and_its_memory_was_seen(setup: Setup) -> None:
    with running(ours(), setup.material, setup.serving_core) as server:
        members, megabytes = family(server.pid), memory_mb(server.pid)

    assert len(members) >= 2
    assert megabytes > 10
    assert [pid for pid in members if not ended(pid)] == []


def test_a_runtime_that_is_not_to_be_had_is_said_to_be_absent(setup: Setup) -> None:
    with (
        pytest.raises(AbsentError, match="int8"),
        running(ours("int8"), setup.material, setup.serving_core),
    ):
        pass
