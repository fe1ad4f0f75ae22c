"""How the demo runs verbs, counts callers' answers and fails."""

import threading
from pathlib import Path

import pytest

from pipeline.cli import Failed
from pipeline.demo.callers import Callers
from pipeline.demo.story import Story

MAKEFILE = """
count:
\t@echo $(COUNT) lines follow; seq 1 $(COUNT)
fail:
\t@seq 1 99; echo the reason >&2; exit 3
"""


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "09-before.log").write_text("of an earlier demo")
    monkeypatch.chdir(tmp_path)
    return Story(tmp_path / "log")


def test_a_verb_leaves_its_output_in_a_log_and_tells_what_it_means(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = story.make("count", "COUNT=2", outcome=lambda text: f"said {len(text.split())} words")
    story.make("count", "COUNT=1", outcome="said less")

    logs = sorted((tmp_path / "log").iterdir())
    assert [log.name for log in logs] == ["01-count.log", "02-count.log"]
    assert output == logs[0].read_text() == "2 lines follow\n1\n2\n"
    assert [(c.verb, c.outcome) for c in story.chapters] == [
        ("make count", "said 5 words"),
        ("make count", "said less"),
    ]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_failing_verb_ends_the_story_with_the_end_of_its_log(story: Story) -> None:
    with pytest.raises(Failed) as caught:
        story.make("fail", outcome="never told")

    said = str(caught.value).splitlines()
    assert said[0].startswith("`make fail` failed with 2. The end of ")
    assert said[0].endswith("01-fail.log:")
    assert "the reason" in said
    assert len(said) == 31
    assert story.chapters == []


def test_an_outcome_that_refuses_is_not_told(story: Story) -> None:
    def refuse(_: str) -> str:
        raise Failed("This is not what was wanted.")

    with pytest.raises(Failed, match="not what was wanted"):
        story.make("count", "COUNT=1", outcome=refuse)

    assert story.chapters == []


def test_callers_count_versions_and_failures_until_the_block_ends() -> None:
    script = ["old", "old", "", "new", ""]
    all_said = threading.Event()

    def ask() -> str:
        if not script:
            all_said.set()
            return "new"
        version = script.pop(0)
        if not version:
            raise TimeoutError("no answer")
        return version

    with Callers(ask, threads=1) as callers:
        assert all_said.wait(30)

    assert set(callers.versions) == {"old", "new"}
    assert callers.versions["old"] == 2
    assert callers.versions["new"] >= 2
    assert callers.failures == {"TimeoutError: no answer": 2}


def test_callers_ask_side_by_side_and_are_gone_after_the_block() -> None:
    before = threading.active_count()
    met = threading.Event()
    together = threading.Barrier(3, action=met.set)

    def ask() -> str:
        if not met.is_set():
            together.wait(30)
        return "new"

    with Callers(ask, threads=3) as callers:
        assert met.wait(30)

    assert threading.active_count() == before
    assert not callers.failures
