"""Every module's README shows an example; all of them share one plan."""

import re
from pathlib import Path

import pytest
from tests.infra import expectations
from tests.infra.conftest import INFRA, Workshop

MODULES = sorted(path.name for path in (INFRA / "modules").iterdir())
FILES = ["README.md", "iam.tf", "main.tf", "outputs.tf", "variables.tf", "versions.tf"]


@pytest.mark.parametrize("module", MODULES)
def test_each_module_has_the_same_files(module: str) -> None:
    folder = INFRA / "modules" / module

    assert [name for name in FILES if not (folder / name).is_file()] == []


@pytest.mark.parametrize("module", MODULES)
def test_each_readme_shows_its_module(module: str) -> None:
    assert f'source = "./modules/{module}"' in _examples(module)


@pytest.mark.parametrize("folder", [INFRA, *(INFRA / "modules" / name for name in MODULES)])
@pytest.mark.parametrize("file", ["variables.tf", "outputs.tf"])
def test_variables_and_outputs_are_in_order_and_described(folder: Path, file: str) -> None:
    text = (folder / file).read_text()

    names = re.findall(r'^(?:variable|output) "(\w+)"', text, re.MULTILINE)

    assert names == sorted(names)
    assert len(re.findall(r'^  description = "', text, re.MULTILINE)) == len(names)


@pytest.mark.slow
def test_the_examples_plan_what_the_file_lists(workshop: Workshop, regenerate: bool) -> None:
    files = {f"{name}.tf": _examples(name) for name in MODULES}
    files["provider.tf"] = 'provider "aws" {}\n'

    plan = workshop.folder("examples", files).plan({})

    file = Path(__file__).with_name("examples.yaml")
    expectations.check(plan, file, regenerate=regenerate)


def _examples(module: str) -> str:
    text = (INFRA / "modules" / module / "README.md").read_text()
    return "\n".join(re.findall(r"```hcl\n(.*?)```", text, re.DOTALL))
