"""prices.toml: what AWS asks, by region, each row with where and when it was read."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

PRICES_FILE = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where prices were read."""

    url: str
    read: date
    what: str
    """Who says so."""
    published: date | None = None
    """When they said so, where that is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """One price in one region."""

    usd: float
    unit: str
    """For example hour, GB-month, million."""
    source: str
    """Name of a source."""
    note: str = ""


class Prices:
    """The prices of one region; remembers which were asked for and missing."""

    def __init__(
        self, region: str, prices: Mapping[str, Price], sources: Mapping[str, Source]
    ) -> None:
        self.region = region
        self.sources = sources
        self.missing: list[str] = []
        """What was asked for and has no row, in the order of asking."""
        self.notes: dict[str, str] = {}
        """What must be said of prices that were asked for, by price."""
        self.rows = prices

    def find(self, what: str) -> Price | None:
        """One price; a missing one is remembered."""
        price = self.rows.get(what)
        if price is None and what not in self.missing:
            self.missing.append(what)
        if price is not None and price.note:
            self.notes[what] = price.note
        return price


def read_prices(region: str, file: Path = PRICES_FILE) -> Prices:
    """Read the table for one region; a region without rows has none."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    sources = {name: Source(**row) for name, row in table["sources"].items()}
    rows = table["prices"].get(region, {})
    return Prices(region, {what: Price(**row) for what, row in rows.items()}, sources)
