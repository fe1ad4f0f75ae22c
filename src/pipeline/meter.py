"""What a run has cost so far, from the dated table of prices."""

import time
from collections.abc import Mapping
from typing import Any

from pipeline.cost.prices import Prices

SECONDS_BETWEEN_BILLS = 300.0


class Meter:
    """Turns machine hours into money; where no price is known, it tells hours."""

    def __init__(self, prices: Prices, what: str, *, spot: bool = False) -> None:
        """Look the price up.

        Args:
            prices: of the region.
            what: for example `ec2 t3.large` or `training ml.m5.xlarge`.
            spot: whether AWS asks less than the table says.
        """
        self._price = prices.find(what)
        self._kind = what.rpartition(" ")[2]
        self._spot = spot
        self._next_bill = time.monotonic() + SECONDS_BETWEEN_BILLS

    def rate(self) -> str:
        """`ml.m5.xlarge at $0.23 an hour`."""
        if self._price is None:
            return f"{self._kind}, whose price is not in the table"
        return f"{self._kind} at ${self._price.usd:g} an hour{', less as spot' * self._spot}"

    def cost(self, machine_seconds: float, *, billed: bool = False) -> str:
        """`$0.12`, or `at most $0.12` where spot's share is not known yet.

        Args:
            machine_seconds: of all machines together.
            billed: whether AWS has told the seconds, discount included.
        """
        if self._price is None:
            return f"{machine_seconds / 3600:.2f} machine hours"
        most = "at most " if self._spot and not billed else ""
        return f"{most}${self._price.usd * machine_seconds / 3600:.2f}"

    def due(self) -> bool:
        """Whether it is time again to say what it costs; it is not at the beginning."""
        if time.monotonic() < self._next_bill:
            return False
        self._next_bill = time.monotonic() + SECONDS_BETWEEN_BILLS
        return True


def job_seconds(job: Mapping[str, Any]) -> tuple[float, bool]:
    """Seconds of one machine of a job, and whether AWS has billed them.

    Args:
        job: as DescribeTrainingJob has it.
    """
    if "BillableTimeInSeconds" in job:
        return float(job["BillableTimeInSeconds"]), True
    started = job.get("TrainingStartTime")
    return (0.0 if started is None else max(0.0, time.time() - started.timestamp())), False
