"""The pictures of a study report, as SVG."""

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from optuna.trial import FrozenTrial, TrialState

from contract.search_space import Searched
from training.tuning.words import shown

INK, FAINT, ACCENT, BAD = "#24292f", "#d0d7de", "#0b6e4f", "#b42318"
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
COLOURS = "viridis"
FAR = 4.0
"""Losses that are more than so many times the lowest one are shown on a logarithmic scale."""
NOT_SEARCHED = -0.18
"""Where a line passes an axis on which its trial has no value."""


def figure(width: float, height: float) -> Figure:
    """An empty one; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def svg(name: str, drawing: Figure) -> str:
    """A figure as SVG, the same text for the same figure; `name` keeps ids apart."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        drawing.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def losses_of(trials: Sequence[FrozenTrial]) -> list[float]:
    """Each trial's loss; of one that was stopped early, the lowest it had."""
    return [
        float(trial.value)
        if trial.value is not None
        else min(trial.user_attrs.get("curve") or [math.nan])
        for trial in trials
    ]


def scale_losses(axes: Axes, losses: Sequence[float]) -> None:
    """A logarithmic scale where a few bad losses would hide how the good ones differ."""
    known = [loss for loss in losses if loss > 0]
    if known and max(known) > FAR * min(known):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: shown(loss)))
        axes.yaxis.set_minor_formatter(NullFormatter())


def progress(trials: Sequence[FrozenTrial]) -> str:
    """Every trial's loss in order, and the best so far."""
    with matplotlib.rc_context(STYLE):
        drawing = figure(9, 3.4)
        axes = drawing.subplots()
        losses, order = losses_of(trials), list(range(1, len(trials) + 1))
        best: list[float] = []
        for trial, loss in zip(trials, losses, strict=True):
            last = best[-1] if best else math.nan
            done = trial.state == TrialState.COMPLETE
            best.append(min(loss, last) if done and last == last else loss if done else last)
        axes.step(order, best, where="post", color=ACCENT, linewidth=2, label="best so far")
        for state, label, marker, colour, face in (
            (TrialState.COMPLETE, "finished", "o", ACCENT, ACCENT),
            (TrialState.PRUNED, "stopped early", "o", INK, "white"),
        ):
            places = [i for i, trial in enumerate(trials) if trial.state == state]
            if places:
                axes.plot(
                    [order[i] for i in places], [losses[i] for i in places], marker,
                    color=colour, markerfacecolor=face, markersize=6, label=label,
                )  # fmt: skip
        failed = [order[i] for i, t in enumerate(trials) if t.state == TrialState.FAIL]
        if failed:
            axes.plot(
                failed, [1.0] * len(failed), "x", color=BAD, markersize=7, label="failed",
                transform=axes.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip
        scale_losses(axes, losses)
        axes.set_xlabel("trial, in order of its end")
        axes.set_ylabel("validation loss per picture")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1.03), ncols=4)
        return svg("progress", drawing)


def importance(shares: Mapping[str, float]) -> str:
    """Bars, the longest on top."""
    with matplotlib.rc_context(STYLE):
        names = sorted(shares, key=lambda name: shares[name])
        drawing = figure(9, 0.6 + 0.36 * len(names))
        axes = drawing.subplots()
        bars = axes.barh(names, [shares[name] for name in names], color=ACCENT, height=0.6)
        axes.bar_label(bars, [f"{shares[name]:.0%}" for name in names], padding=4)
        axes.set_xlim(0, 1.08 * max(shares.values()))
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(left=False)
        return svg("importance" + "".join(names), drawing)


def curves(trials: Sequence[FrozenTrial], best: FrozenTrial) -> str:
    """Validation loss of each epoch of each trial."""
    with matplotlib.rc_context(STYLE):
        drawing = figure(9, 3.4)
        axes = drawing.subplots()
        for trial in trials:
            line = trial.user_attrs.get("curve") or []
            chosen = trial.number == best.number
            axes.plot(
                range(1, len(line) + 1), line, color=ACCENT if chosen else INK,
                alpha=1.0 if chosen else 0.25, linewidth=2.2 if chosen else 1,
                zorder=3 if chosen else 2, marker="o" if len(line) == 1 else None,
                label=f"trial {trial.number}, the best" if chosen else None,
            )  # fmt: skip
        scale_losses(axes, [loss for t in trials for loss in t.user_attrs.get("curve") or []])
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation loss per picture")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, loc="upper right")
        return svg("curves", drawing)


def height(searched: Searched, value: Any) -> float:
    """Where a value stands on its axis, from 0 to 1."""
    if searched.kind == "choice":
        return searched.values.index(value) / (len(searched.values) - 1)
    low, high = searched.ends
    if searched.scale == "log":
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float((value - low) / (high - low))


def parallel(
    trials: Sequence[FrozenTrial], space: Mapping[str, Searched], best: FrozenTrial
) -> str:
    """Parallel coordinates: an axis for each hyperparameter, a line for each trial."""
    with matplotlib.rc_context(STYLE):
        names = list(space)
        drawing = figure(9, 4.2)
        axes = drawing.subplots()
        losses = losses_of(trials)
        ranks = np.argsort(np.argsort(losses))
        colours = matplotlib.colormaps[COLOURS]
        norm = Normalize(0, max(1, len(trials) - 1))
        for place in np.argsort(losses)[::-1]:  # the best on top
            trial, values = trials[place], trials[place].user_attrs["values"]
            line = [
                height(space[name], values[name]) if name in values else NOT_SEARCHED
                for name in names
            ]
            chosen = trial.number == best.number
            axes.plot(
                range(len(names)), line, color=colours(norm(ranks[place])),
                linewidth=3 if chosen else 1.3, alpha=1.0 if chosen else 0.65,
                marker="o", markersize=6 if chosen else 3,
            )  # fmt: skip
        for place, name in enumerate(names):
            axes.vlines(place, 0, 1, color=FAINT, linewidth=1, zorder=0)
            label_axis(axes, place, space[name])
        partial = any(name not in t.user_attrs["values"] for t in trials for name in names)
        if partial:
            axes.text(-0.08, NOT_SEARCHED, "not\nsearched", ha="right", va="center", fontsize=9)
        axes.set_xticks(range(len(names)), names)
        axes.tick_params(bottom=False, pad=10)
        axes.set_xlim(-0.35, len(names) - 0.5)
        axes.set_ylim(-0.26 if partial else -0.05, 1.1)
        axes.yaxis.set_visible(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        mappable = matplotlib.cm.ScalarMappable(norm, colours)
        bar = drawing.colorbar(mappable, ax=axes, pad=0.01, aspect=30)
        bar.set_ticks([0, max(1, len(trials) - 1)], labels=["best", "worst"])
        bar.outline.set_visible(False)
        return svg("parallel", drawing)


def label_axis(axes: Axes, place: int, searched: Searched) -> None:
    """The ends of a range, or all choices, beside their axis."""
    marks = searched.values if searched.kind == "choice" else searched.ends
    for value in marks:
        axes.annotate(
            shown(value), (place, height(searched, value)), xytext=(5, 5),
            textcoords="offset points", fontsize=9, va="bottom",
        )  # fmt: skip


def shares_of(trials: Sequence[FrozenTrial], names: Sequence[str]) -> dict[str, float]:
    """How much of the difference between good and other trials each hyperparameter explains.

    PED-ANOVA: Watanabe et al., PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
    Arbitrary Subspaces, 2023.

    Returns:
        Shares that add up to one; empty where the trials cannot tell.
    """
    import optuna

    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    done = [trial for trial in done if set(names) <= set(trial.params)]
    if len(done) < 5:
        return {}
    study = optuna.create_study(direction="minimize")
    study.add_trials(done)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials; the report says how many there are
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, params=list(names)
        )
    return {name: share for name, share in found.items() if math.isfinite(share)}
