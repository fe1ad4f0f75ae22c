"""Compares what a plan costs with a YAML file of expectations."""

from collections.abc import Mapping
from typing import Any

from pipeline.cost.estimate import estimate
from pipeline.cost.prices import read_prices


def differences(plan: Any, wanted: Mapping[str, Any]) -> list[str]:
    """One line for each amount that is not the expected one, and for each unknown kind."""
    bill = estimate(plan, read_prices("us-east-1"))
    lines = [
        f"{kind} neither costs nor is free; say which in src/pipeline/cost/rules.py"
        for kind in bill.uncounted
    ]
    found = {line.what: line for line in bill.lines}
    for what, amounts in wanted.get("costs", {}).items():
        if what not in found:
            lines.append(f"no line of the bill is {what!r}; there are {sorted(found)}")
            continue
        line = found[what]
        given = {"idle": line.idle, "at_most": line.most, "per_thousand": line.per_thousand}
        for name, usd in amounts.items():
            if round(given[name], 6) != usd:
                lines.append(f"{what}: {name} is {given[name]:.6f}, not {usd}")
    return lines
