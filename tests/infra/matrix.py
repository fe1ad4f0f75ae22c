"""Makes a stage of the matrix for real in the local AWS, and takes it away again."""

import hashlib
import io
import json
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.infra.conftest import Folder

SERVE = """
import http.server, os, sys

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass

port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
http.server.ThreadingHTTPServer(("127.0.0.1", port), Healthy).serve_forever()
"""


def archives() -> dict[str, tuple[str, bytes]]:
    """A release that starts and answers health checks: kind to file name and content."""
    model, code = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=model, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/serve.py")
        member.size = len(SERVE)
        tar.addfile(member, io.BytesIO(SERVE.encode()))
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "def handle(event, context): return None\n")
    return {
        "function": ("function.zip", code.getvalue()),
        "model": ("model.tar.gz", model.getvalue()),
        "training": ("training.tar.gz", b""),
    }


def release(made: Mapping[str, tuple[str, bytes]]) -> dict[str, dict[str, str]]:
    """The root module's variable for archives."""
    digests = {kind: hashlib.sha256(content).hexdigest() for kind, (_, content) in made.items()}
    return {
        kind: {"key": f"{kind}/{digests[kind]}/{made[kind][0]}", "sha256": digests[kind]}
        for kind in made
    }


@dataclass(frozen=True, kw_only=True)
class LiveStage:
    """A stage in a workspace of its own; many share one folder of Terraform."""

    folder: Folder
    name: str
    variables: dict[str, Any]

    def apply(self, *targets: str) -> None:
        """Make it, or only the given parts of it."""
        self._terraform("apply", "-auto-approve", *(f"-target={target}" for target in targets))

    def changes(self) -> list[str]:
        """What another apply would do; nothing, if the first one was whole."""
        plan = self._terraform("plan", "-detailed-exitcode", fine=(0, 2))
        return [] if "No changes." in plan else plan.partition("Terraform will")[2].splitlines()

    def destroy(self) -> None:
        """Take it away."""
        self._terraform("destroy", "-auto-approve", "-refresh=false")

    def _terraform(self, verb: str, *options: str, fine: Sequence[int] = (0,)) -> str:
        values = self.folder.path / f"{self.name}.tfvars.json"
        values.write_text(json.dumps(self.variables))
        done = subprocess.run(
            [
                "terraform",
                verb,
                "-input=false",
                "-no-color",
                f"-var-file={values.name}",
                *options,
            ],
            cwd=self.folder.path,
            env={**self.folder.environment(self.variables), "TF_WORKSPACE": self.name},
            capture_output=True,
            text=True,
        )
        assert done.returncode in fine, f"{verb} of {self.name}:\n{done.stdout}\n{done.stderr}"
        return done.stdout
