"""Reads what a run left: the model, its answers, its events, the pictures."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.model_card import WEIGHTS_FILE, ModelCard, read_card
from contract.strict import ContractError
from training.data_report import REPORT_FILE, read_data_report
from training.predictions import Predictions, read_predictions
from training.profiling import PROFILE_FILE
from training.runlog import METRICS_FILE

Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What there is to report."""

    card: ModelCard
    model_dir: Path
    data: Path
    predictions: Predictions | None
    events: list[Event]
    """Of the model's run; none where they are missing."""
    data_report: dict[str, Any] | None
    profile: dict[str, Any] | None
    missing: list[str]
    """What is not there, and what the page lacks because of it."""

    def of_kind(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event["event"] == kind]


def gather(model_dir: Path, output_dir: Path, data: Path) -> Record:
    """Read everything; only the model must be there.

    Raises:
        ContractError: there is no whole model.
    """
    card, missing = read_card(model_dir), []
    predictions = None
    try:
        predictions = read_predictions(output_dir)
        if predictions.weights_sha256 != card.files[WEIGHTS_FILE]:
            missing.append(
                f"{output_dir} holds the answers of another model than {model_dir}: no classes, "
                "calibration or pictures are shown. Train again, or name the model's own folder."
            )
            predictions = None
    except ContractError as error:
        missing.append(f"No classes, calibration or pictures are shown: {error}")
    events = last_run(read_events(output_dir / METRICS_FILE))
    ends = [event for event in events if event["event"] == "end"]
    if not events:
        missing.append(
            f"No curves, findings or machine are shown: {output_dir / METRICS_FILE} is missing. "
            "Copy it from the run's output."
        )
    elif not ends:
        missing.append("The run of these curves has not ended: the model may be an older one.")
    report = None
    if (output_dir / REPORT_FILE).is_file():
        report = read_data_report(output_dir)
        if report["data_sha256"] != card.provenance.data_sha256:
            missing.append(f"{output_dir / REPORT_FILE} counts other pictures than the model's.")
            report = None
    else:
        missing.append(f"No pictures are counted: {output_dir / REPORT_FILE} is missing.")
    profile_file = output_dir / PROFILE_FILE
    return Record(
        card=card,
        model_dir=model_dir,
        data=data,
        predictions=predictions,
        events=events,
        data_report=report,
        profile=json.loads(profile_file.read_text(encoding="utf-8"))
        if profile_file.is_file()
        else None,
        missing=missing,
    )


def read_events(path: Path) -> list[Event]:
    """Every whole line of metrics.jsonl; a run that was killed may have left half of one."""
    events = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(event, dict) and "event" in event:
                events.append(event)
    return events


def last_run(events: list[Event]) -> list[Event]:
    """The events since the last start; one that went on from a checkpoint has the first part."""
    starts = [place for place, event in enumerate(events) if event["event"] == "start"]
    return events[starts[-1] :] if starts else events


def epochs_of(record: Record) -> list[Event]:
    """One event for each epoch; one that was made again counts as it was the last time."""
    latest = {event["epoch"]: event for event in record.of_kind("epoch")}
    return [latest[number] for number in sorted(latest)]


def findings_of(record: Record) -> list[Event]:
    """Each finding once, the worst first."""
    worst = {"error": 0, "warning": 1, "notice": 2}
    found: dict[str, Event] = {}
    for event in record.of_kind("finding"):
        found.setdefault(f"{event['rule']} {event['facts'].get('folder', '')}", event)
    return sorted(found.values(), key=lambda event: worst.get(event["severity"], 3))
