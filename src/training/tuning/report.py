"""The study report: one HTML page that needs nothing else."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from optuna.trial import FrozenTrial, TrialState

from training.tuning import charts
from training.tuning.outcome import replace
from training.tuning.study import Study
from training.tuning.words import duration, shown

TEMPLATE = Path(__file__).with_name("report.html.j2")
STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a report says besides the trials."""

    data: str
    data_sha256: str
    pictures: dict[str, int]
    classes: int
    weights: str
    hyperparameters: str
    """The file that the best values are written into."""
    study: str
    changes: dict[str, str]
    """What was changed there."""


def write_report(path: Path, study: Study, facts: Facts) -> None:
    """Draw the study as it is now."""
    trials = sorted(
        study.counted(), key=lambda t: (t.datetime_complete or t.datetime_start, t.number)
    )
    best = study.best()
    space = study.space.space
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        facts=facts,
        space=study.space,
        names=list(space),
        best=None if best is None else row(best, list(space), best),
        rows=[row(trial, list(space), best) for trial in ranked(trials)],
        counts={name: sum(t.state == state for t in trials) for state, name in STATES.items()},
        seconds=duration(sum(trial.user_attrs.get("seconds", 0.0) for trial in trials)),
        when=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        zip=zip,
        charts=[] if best is None else draw(trials, study, best),
    )
    replace(path, page)


def draw(trials: Sequence[FrozenTrial], study: Study, best: FrozenTrial) -> list[dict[str, Any]]:
    """The charts that these trials are enough for, each with its heading and a sentence."""
    space = study.space.space
    drawn = [
        {
            "title": "Best so far",
            "text": "The objective is the mean loss per validation picture of a trial's best "
            "epoch; it is the same for any batch size. The test pictures were not looked at.",
            "svg": charts.progress(trials),
        }
    ]
    judged = [trial for trial in trials if trial.state != TrialState.FAIL]
    for title, text, shares in importances(judged, study):
        drawn.append({"title": title, "text": text, "svg": charts.importance(shares)})
    drawn.append(
        {
            "title": "What good trials have in common",
            "text": "Each line is a trial, from axis to axis; the darker, the better. The thick "
            "one is the best.",
            "svg": charts.parallel(judged, space, best),
        }
    )
    if any(len(trial.user_attrs.get("curve") or []) > 1 for trial in trials):
        drawn.append(
            {
                "title": "Epoch by epoch",
                "text": "A line that turns up again over-fits; one that still falls at its end "
                "wants more epochs.",
                "svg": charts.curves(trials, best),
            }
        )
    return drawn


def importances(
    trials: Sequence[FrozenTrial], study: Study
) -> list[tuple[str, str, dict[str, float]]]:
    """Importance of what is always searched, and of what is searched under a condition."""
    groups: dict[str, list[str]] = {}
    for name, searched in study.space.space.items():
        words = [
            f"{parent} is {' or '.join(map(shown, allowed))}"
            for parent, allowed in searched.when.items()
        ]
        groups.setdefault(" and ".join(words), []).append(name)
    found = []
    for condition, names in groups.items():
        shares = charts.shares_of(trials, names)
        if len(names) < 2 or not any(shares.values()):
            continue
        title = "What matters" + (f" where {condition}" if condition else "")
        text = (
            "How much of the difference between the best trials and the others each "
            "hyperparameter explains. With few trials this is a hint, no proof."
        )
        found.append((title, text, shares))
    return found


def ranked(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Finished ones by their loss, then those that were stopped, then those that failed."""
    states = list(STATES)
    losses = {t.number: loss for t, loss in zip(trials, charts.losses_of(trials), strict=True)}
    return sorted(trials, key=lambda t: (states.index(t.state), losses[t.number], t.number))


def row(trial: FrozenTrial, names: Sequence[str], best: FrozenTrial | None) -> dict[str, Any]:
    """A trial as a line of the table."""
    values = trial.user_attrs.get("values", {})
    loss = charts.losses_of([trial])[0]
    return {
        "number": trial.number,
        "chosen": best is not None and trial.number == best.number,
        "state": STATES[trial.state],
        "loss": f"{loss:.4f}" if loss == loss else "",
        "values": [shown(values[name]) if name in values else "" for name in names],
        "epochs": len(trial.user_attrs.get("curve") or []),
        "seconds": duration(trial.user_attrs.get("seconds", 0.0)),
        "reason": trial.user_attrs.get("reason", ""),
    }
