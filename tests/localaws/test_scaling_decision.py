from typing import Any

from localaws.scaling.decision import History, decide

TARGET = {"MinCapacity": 1, "MaxCapacity": 5}
SETTINGS = {"TargetValue": 600.0, "ScaleInCooldown": 30, "ScaleOutCooldown": 30}


def wanted(
    current: int,
    load: float,
    history: History | None = None,
    now: float = 1000.0,
    **settings: Any,
) -> int:
    return decide(
        current=current,
        load=load,
        target=TARGET,
        settings={**SETTINGS, **settings},
        history=history or History(),
        patience_seconds=60,
        now=now,
    )


def test_as_many_are_added_as_the_traffic_needs() -> None:
    assert wanted(1, 1500) == 3


def test_never_more_than_the_maximum() -> None:
    assert wanted(4, 60_000) == 5


def test_traffic_at_the_target_changes_nothing() -> None:
    assert wanted(2, 1200) == 2


def test_after_adding_the_scale_out_cooldown_must_pass_before_adding_more() -> None:
    history = History()

    first = wanted(1, 1200, history, now=0)
    too_early = wanted(2, 1800, history, now=29)
    later = wanted(2, 1800, history, now=30)

    assert (first, too_early, later) == (2, 2, 3)


def test_low_traffic_must_last_before_one_is_taken_away() -> None:
    history = History()

    looks = [wanted(3, 0, history, now=now) for now in (0, 59, 60)]

    assert looks == [3, 3, 2]


def test_after_removing_the_scale_in_cooldown_must_pass_before_removing_more() -> None:
    history = History(below_since=-100)

    looks = [wanted(3, 0, history, now=0)]
    looks += [wanted(2, 0, history, now=now) for now in (29, 30)]

    assert looks == [2, 2, 1]


def test_one_look_above_starts_the_patience_again() -> None:
    history = History(below_since=-100)

    wanted(3, 1800, history, now=0)

    assert wanted(3, 0, history, now=1) == 3


def test_just_below_the_target_is_no_reason_to_remove() -> None:
    assert wanted(2, 2 * 0.95 * 600, History(below_since=-1000)) == 2


def test_never_fewer_than_the_minimum() -> None:
    assert wanted(1, 0, History(below_since=-1000)) == 1


def test_scale_in_can_be_switched_off() -> None:
    assert wanted(3, 0, History(below_since=-1000), DisableScaleIn=True) == 3
