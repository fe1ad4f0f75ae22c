"""checkov on the code and on plans, parliament and cloudsplaining on the policies of plans."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.infra import expectations, stages
from tests.infra.access import variants
from tests.infra.access.findings import policy_findings
from tests.infra.access.variants import Variant
from tests.infra.conftest import INFRA, Folder

from pipeline import audit
from pipeline.audit import Scan
from pipeline.cli import Failed

pytestmark = pytest.mark.slow

ACCEPTED_IN_POLICIES = {
    ("cloudsplaining", "credentials_exposure", "ecr:GetAuthorizationToken"): (
        "the login lets it pull what PullImage names, and nothing more"
    ),
    ("parliament", "CREDENTIALS_EXPOSURE", "ecr:getauthorizationtoken"): (
        "the login lets it pull what PullImage names, and nothing more"
    ),
    ("parliament", "PERMISSIONS_MANAGEMENT_ACTIONS", "ec2:createnetworkinterfacepermission"): (
        "SageMaker lends a network interface to the machine that it runs"
    ),
    ("parliament", "PERMISSIONS_MANAGEMENT_ACTIONS", "iam:passrole"): (
        "one role, to one service; the graph of roles shows where it leads"
    ),
}


@pytest.fixture(scope="module")
def plans(root: Folder) -> dict[str, Any]:
    wanted = yaml.safe_load(variants.FILE.read_text())
    return {name: root.plan(stages.variables(wanted[name])) for name in variants.NAMES}


@pytest.fixture(scope="module")
def scans(plans: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scan]:
    """One start of checkov for all: the code, and each plan as JSON."""
    folder = tmp_path_factory.mktemp("scan")
    shutil.copytree(INFRA, folder / "infra", ignore=shutil.ignore_patterns(".terraform"))
    for name, plan in plans.items():
        (folder / f"{name}.json").write_text(json.dumps(dict(plan)))
    return audit.scan(folder)


def test_checkov_reads_every_resource_of_the_code_and_of_the_plans(
    plans: dict[str, Any], scans: dict[str, Scan]
) -> None:
    planned = sum(len(expectations.all_resources(plan)) for plan in plans.values())

    assert [scan.unread for scan in scans.values()] == [(), ()]
    assert scans["terraform"].resources >= audit.blocks(INFRA) > 40
    assert scans["terraform_plan"].resources == planned


def test_checkov_finds_nothing_but_what_is_accepted_with_a_reason(scans: dict[str, Scan]) -> None:
    findings = {f for scan in scans.values() for f in scan.findings}
    accepted = audit.read_accepted(INFRA / "audit.yaml")

    assert audit.not_accepted(findings, accepted) == []
    assert [e for e in accepted if not any(audit.covers(e, f) for f in findings)] == []


def test_checkov_says_what_is_open_and_what_it_could_not_read(tmp_path: Path) -> None:
    (tmp_path / "open.tf").write_text(
        'resource "aws_security_group" "open" {\n  description = "open"\n'
        '  ingress {\n    cidr_blocks = ["0.0.0.0/0"]\n    description = "ssh"\n'
        '    from_port = 22\n    protocol = "tcp"\n    to_port = 22\n  }\n}\n'
    )
    (tmp_path / "broken.tf").write_text('resource "aws_s3_bucket" {{{\n')

    found = audit.scan(tmp_path)["terraform"]

    assert ("CKV_AWS_24", "aws_security_group.open") in {
        (f.check, f.resource) for f in found.findings
    }
    assert [Path(file).name for file in found.unread] == ["broken.tf"]


def test_an_accepted_finding_needs_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "audit.yaml"
    file.write_text("CKV_AWS_1: {reason: '', resources: [storage.aws_s3_bucket.this]}\n")

    with pytest.raises(Failed, match="CKV_AWS_1 is accepted without a reason"):
        audit.read_accepted(file)


def test_parliament_and_cloudsplaining_find_nothing_but_what_is_accepted(
    planned: dict[str, Variant],
) -> None:
    policies = {
        f"{name}/{role.name}/{policy}": document
        for name, variant in planned.items()
        for role in variant.roles.values()
        for policy, document in role.policies.items()
    }

    found = policy_findings(policies)

    assert [line for line in found if (line[0], *line[2:]) not in ACCEPTED_IN_POLICIES] == []
    assert {(line[0], *line[2:]) for line in found} == set(ACCEPTED_IN_POLICIES)


def test_parliament_and_cloudsplaining_know_a_misspelt_and_a_dangerous_action() -> None:
    actions = ["s3:GetObjekt", "iam:PutRolePolicy", "ssm:GetParameter"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*", "Sid": "Everything"}

    found = policy_findings({"made up": {"Version": "2012-10-17", "Statement": [statement]}})

    assert {(tool, finding) for tool, _, finding, _ in found} >= {
        ("cloudsplaining", "data_exfiltration"),
        ("cloudsplaining", "resource_exposure"),
        ("parliament", "UNKNOWN_ACTION"),
    }
