"""The bill as a person reads it."""

from collections.abc import Iterator

from pipeline.cost.bill import Assumptions, Estimate, Line
from pipeline.cost.prices import PRICES_FILE, Prices

TABLE = f"src/pipeline/cost/{PRICES_FILE.name}"
WHAT = 58


def table(bill: Estimate, prices: Prices, assumed: Assumptions) -> str:
    """Every line, the sums, what is missing, and where prices come from."""
    return "\n".join([*_rows(bill, prices), "", *_notes(bill, assumed), *_sources(bill, prices)])


def summary(bill: Estimate) -> str:
    """One line for `make apply`."""
    least = "" if bill.complete else "at least "
    each = f", and {_usd(bill.per_thousand, 4)} for 1,000 requests" if bill.per_thousand else ""
    return (
        f"In an account this costs about {least}{_usd(bill.idle)} a month when idle and "
        f"{_usd(bill.at_most)} at most{each}; `make cost` shows of what."
    )


def _rows(bill: Estimate, prices: Prices) -> Iterator[str]:
    yield f"{f'USD in {bill.region}':<{WHAT}} {'idle month':>11} {'at most':>11} {'1,000 req.':>11}"
    numbers = _numbers(bill, prices)
    for line in _merged(bill.lines):
        if not line.known:
            yield f"  {line.what:<{WHAT - 2}} {'no price known':>35}"
            continue
        marks = "".join(f" [{numbers[source]}]" for source in line.sources)
        yield (
            f"  {line.what:<{WHAT - 2}} {_cell(line.idle):>11} {_cell(line.most):>11} "
            f"{_cell(line.per_thousand, 4):>11}{marks}"
        )
    yield (
        f"{'Together' if bill.complete else 'Together, without what has no price':<{WHAT}} "
        f"{_usd(bill.idle):>11} {_usd(bill.at_most):>11} {_usd(bill.per_thousand, 4):>11}"
    )


def _merged(lines: tuple[Line, ...]) -> list[Line]:
    """Alarms and VPC endpoints by the dozen become one line."""
    merged: list[Line] = []
    for start, many in (("alarm ", "{} alarms"), ("VPC endpoint of ", "{} VPC endpoints")):
        alike = [line for line in lines if line.what.startswith(start) and line.known]
        if len(alike) > 1:
            sum_ = Line(
                what=many.format(len(alike)),
                idle=sum(line.idle for line in alike),
                sources=tuple(dict.fromkeys(s for line in alike for s in line.sources)),
            )
            at = lines.index(alike[0])
            lines = tuple(line for line in (*lines[:at], sum_, *lines[at:]) if line not in alike)
    merged.extend(lines)
    return merged


def _notes(bill: Estimate, assumed: Assumptions) -> Iterator[str]:
    yield "Idle is a month without a request or a run. At most is a month in which all instances"
    yield "that may run do so day and night, before requests. A request is taken to send"
    yield (
        f"{assumed.kilobytes:g} kB, to keep the function for {assumed.milliseconds:g} ms and the "
        f"model for {assumed.model_milliseconds:g} ms."
    )
    for name in bill.missing:
        yield f"no price known for {name} in {bill.region}; add a row to {TABLE}"
    for kind in bill.uncounted:
        yield f"nobody has said what {kind} costs; add a rule to src/pipeline/cost/rules.py"


def _sources(bill: Estimate, prices: Prices) -> Iterator[str]:
    yield "Prices without taxes, free tiers and discounts:"
    for what, note in prices.notes.items():
        yield f"  {what}: {note}"
    for name, number in _numbers(bill, prices).items():
        source = prices.sources[name]
        said = f"of {source.published}, " if source.published else ""
        yield f"  [{number}] {source.what}; {said}read {source.read}"
        yield f"      {source.url}"


def _numbers(bill: Estimate, prices: Prices) -> dict[str, int]:
    used = {source for line in bill.lines for source in line.sources}
    return {name: n for n, name in enumerate((s for s in prices.sources if s in used), 1)}


def _cell(usd: float, digits: int = 2) -> str:
    return _usd(usd, digits) if usd else ""


def _usd(usd: float, digits: int = 2) -> str:
    return f"${usd:,.{digits}f}"
