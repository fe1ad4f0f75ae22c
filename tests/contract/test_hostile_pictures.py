"""Thousands of hostile pictures: the right answer each, within the stated memory and time.

A process of its own looks at them. The kernel ends it when a picture takes too long, and a
picture that makes it crash ends it too: both name the picture.
"""

import hashlib
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.pictures import jpeg, png, webp
from tests.pictures.case import ANY, Case
from tests.pictures.cases import hostile_pictures
from tests.pictures.judging import Judge, judging

from contract.messages import MAX_PICTURE_BYTES
from contract.preprocessing import MAX_MEMORY_BYTES

PARTS = 8
MUTATIONS = 10_000
WHOLE = [data for kind in (jpeg, png, webp) for data in kind.good().values()]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with judging() as asked:
        asked("a good one, to be warm", WHOLE[0])
        yield asked


def wrong(judge: Judge, one: Case) -> str | None:
    """What is not as it should be with the answer to one picture."""
    verdict = judge(one.name, one.data)
    if verdict.status not in one.expected:
        return f"{one.name}: {verdict.status} {verdict.message}, wanted {sorted(one.expected)}"
    if verdict.status != 200 and not (20 < len(verdict.message) < 300):
        return f"{one.name}: {verdict.message!r} is no sentence"
    if verdict.grown > MAX_MEMORY_BYTES:
        return f"{one.name}: {verdict.grown:,} bytes of memory, at most {MAX_MEMORY_BYTES:,}"
    return None


def test_there_are_thousands_of_them_and_any_may_be_sent() -> None:
    pictures = hostile_pictures()

    assert len(pictures) >= 3_000
    assert len({hashlib.sha256(one.data).digest() for one in pictures}) == len(pictures)
    assert len({one.name for one in pictures}) == len(pictures)
    assert max(len(one.data) for one in pictures) <= MAX_PICTURE_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_hostile_picture_gets_its_answer_within_memory_and_time(
    judge: Judge, part: int
) -> None:
    faults = [wrong(judge, one) for one in hostile_pictures()[part::PARTS]]

    assert [fault for fault in faults if fault] == []


@pytest.mark.slow
def test_a_network_that_looks_closely_needs_no_more_memory() -> None:
    large = [one for one in hostile_pictures() if one.name.startswith("large")]

    with judging(resize_px=2_048) as judge:
        judge("a good one, to be warm", WHOLE[0])
        faults = [wrong(judge, one) for one in large]

    assert len(large) > 10
    assert [fault for fault in faults if fault] == []


@pytest.mark.slow
def test_whatever_is_changed_in_a_picture_it_is_one_or_is_refused(judge: Judge) -> None:
    looked_at = 0

    @settings(
        max_examples=MUTATIONS, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        data=st.sampled_from(WHOLE),
        edits=st.lists(
            st.tuples(
                st.integers(0, 2**16),
                st.sampled_from(["flip", "put", "insert", "remove", "copy", "swap"]),
                st.binary(min_size=1, max_size=9),
            ),
            min_size=1,
            max_size=5,
        ),
    )
    def look(data: bytes, edits: list[tuple[int, str, bytes]]) -> None:
        nonlocal looked_at
        looked_at += 1
        changed = mutated(data, edits)
        fault = wrong(judge, Case(f"{changed.hex()[:4000]}", changed, ANY))
        assert fault is None, fault

    look()

    assert looked_at >= MUTATIONS


def mutated(data: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for place, kind, more in edits:
        at = place % (len(data) + 1)
        end = at + len(more)
        if kind == "flip":
            data = data[:at] + bytes(b ^ m for b, m in zip(data[at:end], more, strict=False)) + (
                data[end:]
            )  # fmt: skip
        elif kind == "put":
            data = data[:at] + more + data[end:]
        elif kind == "insert":
            data = data[:at] + more + data[at:]
        elif kind == "remove":
            data = data[:at] + data[end * more[0] :]
        elif kind == "copy":
            data = data[:at] + data[at : at + more[0]] + data[at:]
        else:
            data = data[at:] + data[:at] if more[0] % 8 == 0 else data[: at or 1]
    return data


@pytest.mark.slow
def test_a_picture_that_takes_too_long_ends_its_process_and_is_named() -> None:
    large = next(one for one in hostile_pictures() if one.name == "large webp")

    with judging(cpu_seconds=0) as judge:

        def look_again_and_again() -> None:
            for number in range(100):
                judge(f"picture {number}", large.data)

        with pytest.raises(AssertionError, match=rf"'picture \d+' ended .* -{signal.SIGXCPU:d}"):
            look_again_and_again()


def test_the_same_pictures_are_made_each_time() -> None:
    again = [one for room in (jpeg, webp) for one in room.cases()]

    assert {one.data for one in again} <= {one.data for one in hostile_pictures()}
