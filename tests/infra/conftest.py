"""Terraform over a scratch copy of infra/, against the local AWS of the test session."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tftest

from pipeline.setup import find_mirror, write_cli_config

if TYPE_CHECKING:
    from tests.infra.access.variants import Variant
    from tests.infra.reviewed import Reviewed

REPOSITORY = Path(__file__).resolve().parents[2]
INFRA = REPOSITORY / "infra"
# A loaded machine sometimes kills a provider as it starts; only then a second try is fair.
DIED = "Plugin did not respond"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of Terraform, initialised."""

    path: Path
    environment: dict[str, str]
    plans: dict[str, Any] = field(default_factory=dict)
    """What was planned already, by its variables."""

    def tf(self) -> Any:
        """Tftest's hold on it."""
        tf = tftest.TerraformTest(str(self.path), env=self.environment)
        tf.env = {**self.environment, "TF_IN_AUTOMATION": "1"}
        return tf

    def plan(self, variables: Mapping[str, Any]) -> Any:
        """tftest's parsed plan; the same variables are planned once."""
        key = json.dumps(variables, sort_keys=True)
        if key not in self.plans:
            values = self._values(variables)
            try:
                self.plans[key] = self.tf().plan(output=True, tf_var_file=values)
            except tftest.TerraformTestError as error:
                if DIED not in str(error):
                    raise
                self.plans[key] = self.tf().plan(output=True, tf_var_file=values)
        return self.plans[key]

    def complaints(self, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Plan, and return every error that Terraform found."""
        command = ["terraform", "plan", "-json", f"-var-file={self._values(variables)}"]
        done = subprocess.run(
            command, cwd=self.path, env=self.environment, capture_output=True, text=True
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found = [line["diagnostic"] for line in lines if "diagnostic" in line]
        return [diagnostic for diagnostic in found if diagnostic["severity"] == "error"]

    def _values(self, variables: Mapping[str, Any]) -> str:
        file = self.path / "values.tfvars.json"
        file.write_text(json.dumps(variables))
        return str(file)


class Workshop:
    """Makes folders of Terraform that share one download of the provider."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        write_cli_config(folder / "terraform.rc", find_mirror())
        self._environment = {
            **environment,
            "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
            "TF_PLUGIN_CACHE_DIR": str(folder / "plugins"),
        }
        (folder / "plugins").mkdir()

    def folder(self, name: str, files: Mapping[str, str], *, root: bool = False) -> Folder:
        """Initialise a folder with the given files beside infra's modules.

        Args:
            name: of the folder.
            files: text by name.
            root: whether infra's own files are there too.
        """
        path = self._folder / name
        shutil.copytree(INFRA / "modules", path / "modules")
        for file in INFRA.glob("*.tf") if root else ():
            shutil.copy(file, path)
        for file_name, text in files.items():
            (path / file_name).write_text(text)
        made = Folder(path=path, environment=self._environment)
        made.tf().init()
        return made


@pytest.fixture(scope="session")
def workshop(local_aws: Any, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("terraform"), local_aws.env)


@pytest.fixture(scope="session")
def root(workshop: Workshop) -> Folder:
    """The root module; its state stays in the folder, so that nothing needs a bucket."""
    local_state = 'terraform {\n  backend "local" {}\n}\n'
    return workshop.folder("root", {"backend_override.tf": local_state}, root=True)


@pytest.fixture(scope="session")
def planned(root: Folder) -> dict[str, "Variant"]:
    """The plans whose policies are reviewed."""
    from tests.infra.access import variants

    return variants.plan(root)


@pytest.fixture(scope="session")
def reviewed(request: pytest.FixtureRequest) -> "Reviewed":
    """Compares files with what is so, or writes them anew."""
    from tests.infra.reviewed import Reviewed

    return Reviewed(regenerate=request.config.getoption("regenerate"))
