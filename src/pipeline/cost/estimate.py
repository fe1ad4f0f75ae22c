"""Turns a plan and prices into a bill."""

from collections.abc import Mapping
from typing import Any

from pipeline.cost.bill import Assumptions, Estimate
from pipeline.cost.planned import Planned
from pipeline.cost.prices import Prices
from pipeline.cost.rules import FREE, RULES, Ledger, training_jobs


def estimate(
    plan: Mapping[str, Any], prices: Prices, assumptions: Assumptions | None = None
) -> Estimate:
    """Estimate what a plan costs.

    Args:
        plan: what `terraform show -json` prints of it.
        prices: of its region.
        assumptions: what the plan does not say.

    Returns:
        The bill; what has no price is named in it.
    """
    planned = Planned(plan)
    ledger = Ledger(planned, prices, assumptions or Assumptions())
    kinds = {resource.kind for resource in planned.resources}
    for kind, rule in RULES.items():
        for resource in planned.of(kind):
            rule(ledger, resource)
    jobs = plan.get("variables", {}).get("training_job", {}).get("value")
    if jobs is not None:
        training_jobs(ledger, jobs)
    return Estimate(
        region=prices.region,
        lines=tuple(ledger.lines),
        missing=tuple(prices.missing),
        uncounted=tuple(sorted(kinds - RULES.keys() - FREE)),
    )
