"""How many instances a target tracking policy wants, from one look at the traffic."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_COOLDOWN_SECONDS = 300
SCALE_IN_SHARE = 0.9
"""Instances are only taken away below this share of the target, as on AWS."""


@dataclass(slots=True)
class History:
    """Of one target; times are those of a clock that never goes back."""

    out: float = -math.inf
    """When instances were last added."""
    in_: float = -math.inf
    """When one was last taken away."""
    below_since: float | None = None
    """Since when every look was below the target."""


def decide(
    *,
    current: int,
    load: float,
    target: Mapping[str, Any],
    settings: Mapping[str, Any],
    history: History,
    patience_seconds: float,
    now: float,
) -> int:
    """The instance count from now on; `history` is brought up to date.

    Args:
        current: instances now.
        load: on all of them together: invocations in a minute, or requests at once.
        target: the scalable target, for its bounds and what is suspended.
        settings: of the policy.
        history: of the target.
        patience_seconds: how long the traffic must stay low before an instance is taken away.
        now: on the history's clock.
    """
    goal = float(settings["TargetValue"])
    needed = math.ceil(load / goal)
    suspended = target.get("SuspendedState", {})
    if load / current >= SCALE_IN_SHARE * goal:
        history.below_since = None
    elif history.below_since is None:
        history.below_since = now
    if needed > current:
        wanted = min(needed, int(target["MaxCapacity"]))
        rested = now - history.out >= _seconds(settings, "ScaleOutCooldown")
        if wanted > current and rested and not suspended.get("DynamicScalingOutSuspended"):
            history.out = now
            return wanted
    elif history.below_since is not None and not settings.get("DisableScaleIn"):
        wanted = max(needed, current - 1, int(target["MinCapacity"]))
        rested = now - history.in_ >= _seconds(settings, "ScaleInCooldown")
        low_for_long = now - history.below_since >= patience_seconds
        free = rested and low_for_long and not suspended.get("DynamicScalingInSuspended")
        if wanted < current and free:
            history.in_ = now
            return wanted
    return current


def _seconds(settings: Mapping[str, Any], name: str) -> float:
    return float(settings.get(name, DEFAULT_COOLDOWN_SECONDS))
