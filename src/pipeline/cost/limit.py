"""`max_monthly_usd`: what a stage may cost when nobody uses it."""

from collections.abc import Callable, Mapping
from typing import Any

from contract.strict import ContractError
from pipeline.cli import Place
from pipeline.cost.bill import Estimate
from pipeline.cost.estimate import estimate
from pipeline.cost.prices import read_prices
from pipeline.cost.table import summary


def hold_limit(
    plan: Mapping[str, Any], place: Place, tell: Callable[[str], None], *, refuse: bool = True
) -> None:
    """Say what a plan will cost, and refuse one that is too dear.

    Args:
        plan: what `terraform show -json` prints of it.
        place: the stage.
        tell: takes the line.
        refuse: whether a bill above the limit is an error, or a line as well.

    Raises:
        ContractError: the idle bill is above max_monthly_usd.
    """
    bill = estimate(plan, read_prices(place.settings.region))
    tell(summary(bill))
    for name in bill.missing:
        tell(f"No price is known for {name} in {bill.region}, so it is not in that sum.")
    complaint = over_limit(bill, place)
    if complaint and refuse:
        raise ContractError(complaint)
    if complaint:
        tell(complaint)


def over_limit(bill: Estimate, place: Place) -> str | None:
    """What is wrong with a bill; None when it keeps to the limit."""
    limit = place.settings.max_monthly_usd
    if limit is None or bill.idle <= limit:
        return None
    return (
        f"This would cost about ${bill.idle:,.2f} a month before the first request, and "
        f"max_monthly_usd is ${limit:,.2f}, so nothing is applied. `make cost` shows of what: make "
        f"it smaller, or raise max_monthly_usd in {place.settings_file}."
    )
