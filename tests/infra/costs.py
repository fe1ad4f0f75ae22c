"""Compares what a plan costs with a YAML file of expectations."""

from collections.abc import Mapping
from typing import Any

from tests.infra.expectations import Difference

from pipeline.cost.estimate import estimate
from pipeline.cost.prices import read_prices

REGION = "us-east-1"
"""The one with prices."""


def uncounted(plan: Any) -> list[str]:
    """Kinds that src/pipeline/cost/rules.py says nothing of: neither that they cost, nor not."""
    return list(estimate(plan, read_prices(REGION)).uncounted)


def differences(plan: Any, wanted: Mapping[str, Any]) -> list[Difference]:
    """Every amount that is not the expected one."""
    found = {line.what: line for line in estimate(plan, read_prices(REGION)).lines}
    differing: list[Difference] = []
    for what, amounts in wanted.get("costs", {}).items():
        if what not in found:
            differing.append(Difference(("costs", what), None, amounts))
            continue
        line = found[what]
        given = {"idle": line.idle, "at_most": line.most, "per_thousand": line.per_thousand}
        for name, usd in amounts.items():
            if round(given[name], 6) != usd:
                differing.append(Difference(("costs", what, name), round(given[name], 6), usd))
    return differing
