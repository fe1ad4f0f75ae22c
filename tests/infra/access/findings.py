"""What parliament and cloudsplaining find, asked of the Python of .venv-audit."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.infra.conftest import REPOSITORY


def policy_findings(policies: Mapping[str, Any]) -> list[list[str]]:
    """Tool, policy, finding and action of everything that the two tools find."""
    python = REPOSITORY / ".venv-audit/bin/python"
    script = Path(__file__).parents[1] / "audit_policies.py"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), str(script)],
        input=json.dumps(dict(policies)),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: list[list[str]] = json.loads(done.stdout)
    return found
