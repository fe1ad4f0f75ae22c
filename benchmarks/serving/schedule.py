"""When requests arrive: decided before the first is sent, so that no reply can change it."""

import random


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Arrivals that know nothing of each other, as those of many callers.

    Args:
        rate: requests per second, on average.
        seconds: how long.
        seed: another number, another schedule.

    Returns:
        Seconds from the start, in order.
    """
    chance, at, arrivals = random.Random(seed), 0.0, []  # noqa: S311 (a schedule is no secret)
    while (at := at + chance.expovariate(rate)) < seconds:
        arrivals.append(at)
    return arrivals


def constant(rate: float, seconds: float) -> list[float]:
    """Arrivals at equal distances, the first at once."""
    return [number / rate for number in range(int(rate * seconds))]
