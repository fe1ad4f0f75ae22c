"""`make lint`: what checkov finds in the Terraform, but for what infra/audit.yaml accepts.

checkov lives in .venv-audit, since it wants other versions than the rest. It is run without its
platform: it downloads nothing, asks for no newer version and sends nothing.
"""

import argparse
import fnmatch
import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.cli import Failed, run_verb, say

CHECKOV = Path(".venv-audit/bin/checkov")
ACCEPTED = Path("infra/audit.yaml")
QUIET = {
    "ANSI_COLORS_DISABLED": "1",
    "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true",
    "LOG_LEVEL": "ERROR",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One check that one resource fails."""

    check: str
    """For example CKV_AWS_158."""

    title: str
    resource: str
    """Its address without modules and keys: aws_s3_bucket.this of storage."""

    place: str
    """File and lines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What checkov says of some files."""

    resources: int
    """How many it looked at."""

    unread: tuple[str, ...]
    """Files that it could not parse."""

    findings: tuple[Finding, ...]


def scan(folder: Path) -> dict[str, Scan]:
    """Scan a folder's HCL (`terraform`) and plans as JSON (`terraform_plan`), where there are any.

    Raises:
        Failed: checkov is missing, or did not answer.
    """
    if not CHECKOV.is_file():
        raise Failed(f"{CHECKOV} is missing; `make setup` installs it.")
    command = [str(CHECKOV.resolve()), "--directory", str(folder), "--output", "json"]
    command += ["--framework", "terraform", "terraform_plan", "--skip-download", "--compact"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("BC_", "CKV_"))}
    done = subprocess.run(
        command, env=environment | QUIET, capture_output=True, text=True, cwd=folder
    )
    try:
        reports = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise Failed(f"checkov failed:\n{(done.stderr or done.stdout).strip()[-2000:]}") from None
    reports = reports if isinstance(reports, list) else [reports]
    return {r["check_type"]: _scan(r) for r in reports if "check_type" in r}


def _scan(report: Mapping[str, Any]) -> Scan:
    results = report["results"]
    return Scan(
        resources=report["summary"]["resource_count"],
        unread=tuple(results.get("parsing_errors", [])),
        findings=tuple(_finding(check) for check in results["failed_checks"]),
    )


def _finding(check: Mapping[str, Any]) -> Finding:
    first, last = check["file_line_range"]
    return Finding(
        check=check["check_id"],
        title=check["check_name"],
        resource=short(check["resource"]),
        place=f"{check['file_path'].lstrip('/')}:{first}-{last}",
    )


def short(address: str) -> str:
    """storage.aws_s3_bucket.this of module.storage[0].aws_s3_bucket.this["key"]."""
    return re.sub(r"\[[^]]*\]", "", address).removeprefix("module.").replace(".module.", ".")


def read_accepted(file: Path = ACCEPTED) -> dict[tuple[str, str], str]:
    """The reason for each accepted check of a resource.

    Raises:
        Failed: an entry has no reason.
    """
    accepted = {}
    for check, entry in yaml.safe_load(file.read_text(encoding="utf-8")).items():
        if not str(entry.get("reason") or "").strip():
            raise Failed(f"{file}: {check} is accepted without a reason. Give one, or mend it.")
        for resource in entry["resources"]:
            accepted[check, resource] = entry["reason"]
    return accepted


def not_accepted(
    findings: Iterable[Finding], accepted: Mapping[tuple[str, str], str]
) -> list[Finding]:
    """The findings that nobody gave a reason for."""
    return [f for f in findings if not any(covers(entry, f) for entry in accepted)]


def covers(entry: tuple[str, str], finding: Finding) -> bool:
    """Whether an accepted check and resource, which may hold a *, is that finding's."""
    check, resource = entry
    return check == finding.check and fnmatch.fnmatchcase(finding.resource, resource)


def blocks(folder: Path) -> int:
    """How many resources the root's modules declare, each counted once for each of its calls."""
    own = sum(_count(file) for file in folder.glob("*.tf"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in folder.glob("*.tf"))
    return own + sum(blocks(folder / source) for source in _sources(text))


def _count(file: Path) -> int:
    return len(re.findall(r'^resource "', file.read_text(encoding="utf-8"), re.MULTILINE))


def _sources(text: str) -> list[str]:
    return re.findall(r'^  source += "(\.[^"]+)"', text, re.MULTILINE)


def main(argv: Sequence[str] | None = None) -> int:
    """Scan infra/ and say what is wrong."""
    return run_verb(argparse.ArgumentParser(description=__doc__), argv, _audit)


def _audit(_: argparse.Namespace) -> None:
    folder = Path("infra").resolve()
    found = scan(folder)["terraform"]
    wanted = blocks(folder)
    wrong = [f"{file}: checkov cannot read it." for file in found.unread]
    wrong += [
        f"infra/{finding.place}: {finding.check} {finding.resource}: {finding.title}"
        for finding in not_accepted(found.findings, read_accepted())
    ]
    if found.resources < wanted:
        wrong.append(f"checkov saw {found.resources} resources of at least {wanted}.")
    if wrong:
        advice = f"Mend this, or accept a finding with its reason in {ACCEPTED}."
        raise Failed("\n".join([*wrong, advice]))
    say(f"checkov: {found.resources} resources; nothing that {ACCEPTED} does not accept.")


if __name__ == "__main__":
    raise SystemExit(main())
