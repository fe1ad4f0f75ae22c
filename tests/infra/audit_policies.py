"""What parliament and cloudsplaining find in policies; run by the Python of .venv-audit.

Reads {name: policy document} from standard input, writes [[tool, name, finding, detail], ...].
"""

import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

warnings.simplefilter("ignore")  # pkg_resources says that it is old

import parliament  # noqa: E402
from cloudsplaining.scan.policy_document import PolicyDocument  # noqa: E402

RISKS = {
    "privilege_escalation": "allows_privilege_escalation",
    "data_exfiltration": "allows_data_exfiltration_actions",
    "resource_exposure": "permissions_management_without_constraints",
    "credentials_exposure": "credentials_exposure",
    "infrastructure_modification": "infrastructure_modification",
    "service_wildcard": "service_wildcard",
}


def main() -> int:
    policies = json.load(sys.stdin)
    found = [line for name, document in policies.items() for line in _findings(name, document)]
    json.dump(sorted(found), sys.stdout)
    return 0


def _findings(name: str, document: dict[str, Any]) -> Iterator[list[str]]:
    policy = parliament.analyze_policy_string(json.dumps(document), include_community_auditors=True)
    for finding in policy.findings:
        for detail in finding.location.get("actions") or [str(finding.detail)]:
            yield ["parliament", name, finding.issue, detail]
    read = PolicyDocument(document)
    for risk, attribute in RISKS.items():
        for detail in getattr(read, attribute):
            yield ["cloudsplaining", name, risk, str(detail)]


if __name__ == "__main__":
    raise SystemExit(main())
