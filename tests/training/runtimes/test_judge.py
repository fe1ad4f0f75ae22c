"""What a runtime may lose, and when it pays."""

import dataclasses

import pytest

from contract.model_card import Golden
from contract.runtimes import Precision
from training.runtimes.judge import Figures, judge

GOLDEN = Golden(file="golden.jpg", label="dog", probability=0.8)
GOOD = Figures(
    golden_label="dog",
    golden_probability=0.8,
    accuracy=0.9,
    agreement=1.0,
    median_ms=10.0,
    machine="a processor",
)


def verdict(
    precision: Precision, fastest_ms: float | None = None, limit: float = 0.5, **changes: object
) -> str | None:
    figures = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]  # by name
    found = judge(
        precision,
        figures,
        GOLDEN,
        float32_accuracy=0.9,
        max_points_lost=limit,
        fastest_ms=fastest_ms,
    )
    assert found.accepted is (found.refused is None)
    return found.refused


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_what_loses_nothing_and_is_fastest_is_accepted(precision: Precision) -> None:
    assert verdict(precision, fastest_ms=20.0) is None


@pytest.mark.parametrize(
    ("accuracy", "says"),
    [(0.895, None), (0.894, "it loses 0.60 points of accuracy, and 0.5 may be lost"), (0.99, None)],
)
def test_accuracy_may_fall_by_the_limit_and_no_more(accuracy: float, says: str | None) -> None:
    assert verdict("bf16", accuracy=accuracy) == says


@pytest.mark.parametrize(
    ("agreement", "says"),
    [(0.995, None), (0.99, "it answers 1.00 % of the pictures otherwise, and 0.5 % may change")],
)
def test_answers_may_change_by_the_limit_even_where_accuracy_stays(
    agreement: float, says: str | None
) -> None:
    assert verdict("int8", agreement=agreement) == says


def test_a_limit_of_zero_allows_no_change() -> None:
    assert verdict("int8", limit=0.0) is None
    assert verdict("int8", limit=0.0, agreement=0.9999) is not None


def test_what_is_hardly_faster_does_not_pay() -> None:
    assert "no less than the 10 ms" in str(verdict("int8", fastest_ms=10.0, median_ms=9.9))
    assert verdict("int8", fastest_ms=10.0, median_ms=9.0) is None


def test_without_the_instructions_int8_is_not_judged_and_bf16_by_its_answers() -> None:
    assert "no fast 8-bit arithmetic" in str(verdict("int8", fastest_ms=10.0, median_ms=None))
    assert verdict("bf16", fastest_ms=10.0, median_ms=None) is None


def test_another_answer_to_the_golden_picture_is_refused() -> None:
    assert "it calls the golden picture 'cat'" in str(verdict("int8", golden_label="cat"))
    assert "away from the golden picture's probability" in str(
        verdict("fp32", golden_probability=0.79)
    )
    assert verdict("int8", golden_probability=0.7) is None
