"""One thing that is wrong, why that is said, and what to do."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from training.runlog import RunLog

Severity = Literal["notice", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("notice", "warning", "error")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong."""

    rule: str
    """For programs, like `vanishing_gradient`."""
    severity: Severity
    """notice: dealt with, or costs only time. warning: the model is worse for it. error: there
    will be no usable model."""
    evidence: str
    """What was seen, with numbers, names and epochs: one sentence or two."""
    remedy: str
    """What to change, by the setting's name where there is one."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The numbers of the evidence, for programs."""


def tell_finding(log: RunLog, finding: Finding) -> None:
    """One `finding` event; people read the evidence and the remedy."""
    log.event(
        "finding",
        f"{finding.severity}: {finding.rule}: {finding.evidence} {finding.remedy}",
        rule=finding.rule,
        severity=finding.severity,
        evidence=finding.evidence,
        remedy=finding.remedy,
        facts=finding.facts,
    )


def told_findings(said: bytes) -> list[Finding]:
    """The findings in metrics.jsonl: those of a run that another goes on from."""
    names = [field.name for field in dataclasses.fields(Finding)]
    events = [json.loads(line) for line in said.splitlines() if line.endswith(b"}")]
    return [
        Finding(**{name: event[name] for name in names})
        for event in events
        if event["event"] == "finding"
    ]


def summary(findings: list[Finding]) -> str:
    """What a person should take home: how many, and which, the worst first."""
    if not findings:
        return "nothing odd was found"
    ranked = sorted(findings, key=lambda f: -SEVERITIES.index(f.severity))
    names = ", ".join(dict.fromkeys(f.rule for f in ranked))
    count = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    return f"{count}: {names}"
