"""Starts what plans need once: the AWS provider, and a local AWS for each further region."""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.localaws.starting import start_local_aws

from localaws import control


class Providers:
    """One running provider for each region that something is planned in.

    Starting the provider costs more than planning all of Kennel does, and Terraform starts it
    twice for each plan unless it is told of one that runs.
    """

    def __init__(self, region: str, environment: Mapping[str, str]) -> None:
        self._home = region
        self._environments = {region: dict(environment)}
        self._attached: dict[str, dict[str, str]] = {}
        self._ends = ExitStack()

    def environment(self, region: str) -> dict[str, str]:
        """Terraform's environment in a region."""
        if region not in self._environments:
            folder = self._folder() / "local"
            address = start_local_aws(folder, region)
            self._ends.callback(control.down, folder)
            self._environments[region] = control.environment(
                address, self._environments[self._home]
            )
        return self._environments[region]

    def attached(self, region: str, executable: Path) -> dict[str, str]:
        """The same, with a running provider."""
        if region not in self._attached:
            environment = self.environment(region)
            address = self._start(executable, environment)
            self._attached[region] = {**environment, "TF_REATTACH_PROVIDERS": address}
        return self._attached[region]

    def end(self) -> None:
        """End all of it."""
        self._ends.close()

    def _folder(self) -> Path:
        # In the system's folder: the path of a socket must be short.
        folder = tempfile.TemporaryDirectory(prefix="kennel-")
        return Path(self._ends.enter_context(folder))

    def _start(self, executable: Path, environment: Mapping[str, str]) -> str:
        quiet = {"TF_LOG": "off", "TF_LOG_PROVIDER": "off", "TF_LOG_SDK": "off"}
        provider = self._ends.enter_context(
            subprocess.Popen(
                [executable, "-debug"],
                env={**environment, **quiet, "TMPDIR": str(self._folder())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        self._ends.callback(provider.terminate)
        for line in provider.stdout or ():
            told = re.search(r"TF_REATTACH_PROVIDERS='(.*)'", line)
            if told:
                return told[1]
        raise AssertionError(f"{executable} -debug ended before it listened.")
