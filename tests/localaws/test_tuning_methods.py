"""How a search chooses hyperparameters and ends jobs; nothing is started."""

import math
from statistics import median

import pytest

from localaws.jobs.tuning.ranges import combinations, point_of, space_of, values_at
from localaws.jobs.tuning.samplers import Seen, model_point, random_point
from localaws.jobs.tuning.stopping import Rungs, is_below_median, resources_of

SPACE = space_of(
    {
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"},
            {"Name": "keep", "MinValue": "0", "MaxValue": "0.999",
             "ScalingType": "ReverseLogarithmic"},
        ],
        "IntegerParameterRanges": [{"Name": "units", "MinValue": "1", "MaxValue": "4"}],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [
        (0.0, {"units": "1", "rate": 0.0001, "keep": 0.0, "kind": "a"}),
        (0.5, {"rate": 0.01, "keep": 1 - math.sqrt(0.001), "kind": "b"}),
        (1.0, {"units": "4", "rate": 1.0, "keep": 0.999, "kind": "b"}),
    ],
)
def test_a_scale_spreads_its_range(unit: float, wanted: dict[str, object]) -> None:
    found = values_at(SPACE, [unit] * 4)

    for name, value in wanted.items():
        if isinstance(value, float):
            assert float(found[name]) == pytest.approx(value)
        else:
            assert found[name] == value


def test_each_integer_of_a_linear_range_is_as_likely_as_the_next() -> None:
    units = [values_at(SPACE, [step / 400 + 0.001] * 4)["units"] for step in range(400)]

    assert [units.count(str(number)) for number in range(1, 5)] == [100] * 4


def test_values_lead_back_to_their_point() -> None:
    point = [0.3, 0.7, 0.375, 0.75]

    found = point_of(SPACE, values_at(SPACE, point))

    assert found is not None
    assert values_at(SPACE, found) == values_at(SPACE, point)
    assert point_of(SPACE, {**values_at(SPACE, point), "rate": "2.0"}) is None
    assert point_of(SPACE, {"rate": "0.5"}) is None


def test_combinations_are_counted() -> None:
    assert combinations(SPACE) == math.inf
    assert combinations([SPACE[0], SPACE[3]]) == 8


def test_the_model_finds_a_planted_optimum_before_chance_does() -> None:
    def search(seed: int, *, model: bool) -> float:
        seen: list[Seen] = []
        for number in range(1, 31):
            if model:
                point = model_point(SPACE, seen, str(seed), number)
            else:
                point = random_point(SPACE, str(seed), number)
            values = values_at(SPACE, point)
            off = math.log10(float(values["rate"])) + 2.5
            loss = off * off + (values["kind"] == "a") + abs(int(values["units"]) - 3)
            seen.append(Seen(point=point, loss=loss))
        return min(one.loss for one in seen if one.loss is not None)

    by_model = median(search(seed, model=True) for seed in range(10))
    by_chance = median(search(seed, model=False) for seed in range(10))

    assert by_model < by_chance / 3


def test_a_job_is_compared_at_its_own_report() -> None:
    previous = [[5.0, 1.0], [5.0, 2.0], [5.0, 3.0]]

    assert not is_below_median([4.0], previous)
    assert is_below_median([4.0, 3.6], previous)
    assert not is_below_median([4.0, 3.4], previous)
    assert not is_below_median([4.0, 9.0, 9.0], previous)
    assert not is_below_median([9.0], previous[:2])


def test_a_rung_lets_the_best_third_go_on() -> None:
    rungs = Rungs(1, 9)
    alone = [rungs.must_stop(3 * number, [loss]) for number, loss in enumerate([5, 4, 6, 1, 2])]

    assert alone == [False, False, True, False, False]
    assert not rungs.must_stop(0, [5.0, 5.0])  # it was let through
    assert rungs.must_stop(0, [5.0] * 9)


def test_hyperband_reads_its_most_resource_from_the_epochs() -> None:
    assert resources_of({}, {"epochs": "12"}) == (1, 12)
    assert resources_of({}, {"n_epochs": '"7"'}) == (1, 7)
    assert resources_of({}, {}) is None
