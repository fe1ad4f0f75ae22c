"""Terraform over a scratch copy of infra/, against the local AWS of the test session."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tftest
from tests.infra.providing import Providers

from pipeline.setup import find_mirror, write_cli_config

if TYPE_CHECKING:
    from tests.infra.access.variants import Variant
    from tests.infra.reviewed import Reviewed

REPOSITORY = Path(__file__).resolve().parents[2]
INFRA = REPOSITORY / "infra"
# A loaded machine sometimes kills a provider as it starts; only then a second try is fair.
DIED = "Plugin did not respond"
CACHE = ".terraform/providers/*/hashicorp/aws/*/*"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of Terraform, initialised."""

    path: Path
    region: str
    providers: Providers
    plans: dict[str, Any] = field(default_factory=dict)
    """What was planned already, by its variables."""

    def tf(self, variables: Mapping[str, Any]) -> Any:
        """tftest's hold on it, in the region of the variables."""
        tf = tftest.TerraformTest(str(self.path))
        tf.env = self.environment(variables)
        return tf

    def plan(self, variables: Mapping[str, Any]) -> Any:
        """tftest's parsed plan; the same variables are planned once."""
        key = json.dumps(variables, sort_keys=True)
        if key not in self.plans:
            values = self._values(variables)
            tf = self.tf(variables)
            try:
                self.plans[key] = tf.plan(output=True, tf_var_file=values)
            except tftest.TerraformTestError as error:
                if DIED not in str(error):
                    raise
                self.plans[key] = tf.plan(output=True, tf_var_file=values)
        return self.plans[key]

    def complaints(
        self, variables: Mapping[str, Any], region: str | None = None
    ) -> list[dict[str, Any]]:
        """Plan, in the region of the variables or another, and return Terraform's errors."""
        command = ["terraform", "plan", "-json", f"-var-file={self._values(variables)}"]
        environment = self.environment({"region": region} if region else variables)
        done = subprocess.run(
            command, cwd=self.path, env=environment, capture_output=True, text=True
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found = [line["diagnostic"] for line in lines if "diagnostic" in line]
        return [diagnostic for diagnostic in found if diagnostic["severity"] == "error"]

    def environment(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """Terraform's, with a running provider for the region of the variables."""
        [executable] = self.path.glob(f"{CACHE}/terraform-provider-aws_*")
        attached = self.providers.attached(variables.get("region", self.region), executable)
        return {**attached, "TF_IN_AUTOMATION": "1"}

    def _values(self, variables: Mapping[str, Any]) -> str:
        file = self.path / "values.tfvars.json"
        file.write_text(json.dumps(variables))
        return str(file)


class Workshop:
    """Makes folders of Terraform that share one download of the provider."""

    def __init__(self, folder: Path, region: str, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._region = region
        write_cli_config(folder / "terraform.rc", find_mirror())
        (folder / "plugins").mkdir()
        self._environment = {
            **environment,
            "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
            "TF_PLUGIN_CACHE_DIR": str(folder / "plugins"),
        }
        self.providers = Providers(region, self._environment)

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
        command = ["terraform", "init", "-no-color", "-input=false"]
        done = subprocess.run(
            command, cwd=path, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return Folder(path=path, region=self._region, providers=self.providers)


@pytest.fixture(scope="session")
def workshop(local_aws: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    made = Workshop(tmp_path_factory.mktemp("terraform"), local_aws.region, local_aws.env)
    try:
        yield made
    finally:
        made.providers.end()


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
def reviewed(regenerate: bool) -> "Reviewed":
    """Compares files with what is so, or writes them anew."""
    from tests.infra.reviewed import Reviewed

    return Reviewed(regenerate=regenerate)
