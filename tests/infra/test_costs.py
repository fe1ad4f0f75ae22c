"""docs/costs.md says what the verb prints and what its snippet computes."""

import os
import re
import subprocess
import sys

import pytest
from tests.infra import stages
from tests.infra.conftest import REPOSITORY, Folder

from pipeline.cost.bill import Assumptions
from pipeline.cost.estimate import estimate
from pipeline.cost.prices import read_prices
from pipeline.cost.table import table

COMMON = {"--build", "--settings", "--stage"}
"""Options of every verb."""
DOCS = (REPOSITORY / "docs" / "costs.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_bill_in_the_docs_is_the_one_that_make_cost_prints(root: Folder) -> None:
    plan = root.plan(stages.variables({"settings": "local", "released": True}))
    prices, assumed = read_prices("us-east-1"), Assumptions()

    printed = table(estimate(plan, prices, assumed), prices, assumed)

    assert f"```\n{printed}\n```" in DOCS, f"docs/costs.md must show:\n{printed}"


def test_make_cost_takes_every_option_of_the_docs() -> None:
    options = set(re.findall(r"--[a-z][a-z-]+", DOCS))
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}

    helped = subprocess.run(
        [sys.executable, "-m", "pipeline.cost", "--help"],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    assert options == set(re.findall(r"--[a-z][a-z-]+", helped)) - {"--help", *COMMON}


def test_five_slots_refuse_what_the_docs_say() -> None:
    snippet = re.search(r"```python\n(.*?)```", DOCS, re.DOTALL)
    assert snippet is not None
    names: dict[str, object] = {}
    exec(snippet[1], names)
    refused = names["refused"]
    assert callable(refused)

    assert "28.5 % of 2.5 requests a second when each takes 2 s" in DOCS
    assert round(refused(5, 2.5, 2), 3) == 0.285
    assert "1 % of 10.5 a second when each takes 0.13 s" in DOCS
    assert round(refused(5, 10.5, 0.13), 2) == 0.01
