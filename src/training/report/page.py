"""Puts the page together."""

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

from contract.hyperparameters import Hyperparameters
from contract.model_card import WEIGHTS_FILE, ModelCard
from training.calibration import expected_calibration_error, reliability
from training.loop import steps_by_epoch
from training.machine import in_words
from training.predictions import Answers
from training.report.charts import Line, curves, reliability_diagram
from training.report.gather import Record, epochs_of, findings_of
from training.report.matrix import matrix
from training.report.pictures import thumbnail
from training.report.scores import (
    by_similarity,
    class_scores,
    confused_pairs,
    confusion,
    least_sure,
    most_wrong,
    shown,
)
from training.schedule import rate_factor

PAIRS = 15
PICTURES = 12


def render(record: Record, latency: dict[str, Any] | None) -> str:
    """The page as HTML.

    Args:
        record: what the run left.
        latency: as `training.report.latency` measures it, if it did.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("training.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    split, answers = judged(record)
    facts: dict[str, Any] = {
        "card": record.card,
        "record": record,
        "split": split,
        "findings": findings_of(record),
        "charts": charts(record),
        "data": data_table(record),
        "latency": latency,
        "latency_machine": in_words(latency["machine"]) if latency else "",
        "training_machine": training_machine(record),
        "command": command(record.card, record.data),
        "settings": settings_table(record.card),
        "settings_json": json.dumps(record.card.provenance.hyperparameters, indent=2),
        "weights_sha256": record.card.files[WEIGHTS_FILE],
        "scores": None,
    }
    if answers is not None:
        facts |= answers_facts(record, split, answers)
    return environment.get_template("page.html").render(facts)


def judged(record: Record) -> tuple[str, Answers | None]:
    """The split that the page judges the model on: test, or valid where there is no test."""
    splits = {} if record.predictions is None else record.predictions.splits
    name = "test" if "test" in splits or (not splits and record.card.test) else "valid"
    return name, splits.get(name)


def answers_facts(record: Record, split: str, answers: Answers) -> dict[str, Any]:
    """All that the answers to one split say."""
    classes, temperature = record.card.classes, record.card.temperature
    counts_KK = confusion(answers, len(classes))
    order = by_similarity(answers, len(classes), temperature)
    drawing, cells = matrix(counts_KK, classes, order)
    pictures = shown(answers, classes, temperature)
    wrong = most_wrong(pictures, PICTURES)
    unsure = [p for p in least_sure(pictures, 2 * PICTURES) if p not in wrong][:PICTURES]
    before = reliability(answers.logits_NK, answers.labels_N, 1.0)
    after = reliability(answers.logits_NK, answers.labels_N, temperature)
    scores = class_scores(counts_KK, classes)
    return {
        "split": split,
        "scores": scores,
        "macro_f1": sum(score.f1 for score in scores) / len(scores),
        "matrix": drawing,
        "cells": cells,
        "pairs": confused_pairs(counts_KK, classes, PAIRS),
        "wrong": [thumbnail(record.data, picture) for picture in wrong],
        "unsure": [thumbnail(record.data, picture) for picture in unsure],
        "mistakes": sum(p.said != p.label for p in pictures),
        "pictures": len(pictures),
        "error_before": expected_calibration_error(before),
        "error_after": expected_calibration_error(after),
        "bins": after,
        "diagram": reliability_diagram(before, after),
    }


def charts(record: Record) -> dict[str, Any]:
    """The curves of the run; none where it had no epochs."""
    epochs = epochs_of(record)
    if not epochs:
        return {}

    def line(name: str, key: str) -> Line:
        return Line(name=name, points=[(e["epoch"], e[key]) for e in epochs])

    drawn = {
        "Loss": curves([line("train", "train_loss"), line("valid", "valid_loss")], "epoch", "loss"),
        "Accuracy": curves([line("valid", "valid_accuracy")], "epoch", "accuracy", percent=True),
    }
    rates = learning_rates(record, len(epochs))
    if rates:
        drawn["Learning rate"] = curves([Line(name="rate", points=rates)], "epoch", "rate")
    return drawn


def learning_rates(record: Record, epochs: int) -> list[tuple[float, float]]:
    """The rate in the middle of each epoch: a function of the settings and the pictures."""
    if record.data_report is None:
        return []
    settings = Hyperparameters(**record.card.provenance.hyperparameters)
    steps = steps_by_epoch(record.data_report["pictures"]["train"], settings)
    return [
        (
            float(epoch),
            settings.learning_rate * rate_factor((epoch - 1) * steps + steps // 2, steps, settings),
        )
        for epoch in range(1, epochs + 1)
    ]


def data_table(record: Record) -> dict[str, Any] | None:
    """Pictures by class and split, the largest class first."""
    report = record.data_report
    if report is None:
        return None
    splits = list(report["pictures"])
    counts = report["pictures_by_label"]
    most = max(max(by_label.values()) for by_label in counts.values())
    rows = [
        {"label": label, "counts": [counts[split][label] for split in splits]}
        for label in sorted(report["classes"], key=lambda label: -counts["train"][label])
    ]
    return {"splits": splits, "rows": rows, "most": most, **report}


def training_machine(record: Record) -> str:
    """The machine that trained, if the run said so."""
    found = [e["machine"] for e in record.of_kind("start") if "machine" in e]
    return in_words(found[-1]) if found else "not recorded"


def settings_table(card: ModelCard) -> list[tuple[str, Any, bool]]:
    """Every setting, its value, and whether it is the usual one."""
    usual = dataclasses.asdict(Hyperparameters())
    return [
        (name, value, usual.get(name) == value)
        for name, value in card.provenance.hyperparameters.items()
    ]


def command(card: ModelCard, data: Path) -> str:
    """What trains the same model again; the settings go into a file."""
    weights = card.provenance.pretrained_weights
    if weights.startswith("file:"):
        weights = "FILE"
    elif weights != "random":
        weights = "imagenet"
    return (
        f"make train DATA={shlex.quote(str(data))} HYPERPARAMETERS=settings.json WEIGHTS={weights}"
    )
