"""One build: its source, fetched with the project's role, and the commands of its buildspec.

There is no Docker here. `docker build` makes sure that this computer's Python is what the image
would be, and `docker push` writes the image's name into ECR; both with the role's rights. All
other commands are run by bash.
"""

import io
import os
import shlex
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Mapping
from typing import Any

import yaml

from localaws.builds.images import BuildError, check_image, push_image
from localaws.core import LocalAws
from localaws.roles import role_client

PHASES = ("install", "pre_build", "build", "post_build")
SESSION = "AWSCodeBuild"


class Build:
    """Runs in a thread of its own from `start` on."""

    def __init__(
        self,
        aws: LocalAws,
        *,
        build_id: str,
        project: Mapping[str, Any],
        source: Mapping[str, Any],
        environment: Mapping[str, str],
    ) -> None:
        self.id = build_id
        self._aws = aws
        self._project = project
        self._source = source
        self._environment = dict(environment)
        self._role = str(project["serviceRole"])
        self._folder = aws.folder / "builds" / build_id.replace(":", "-")
        logs = (project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
        self._group = logs.get("groupName") or f"/aws/codebuild/{project['name']}"
        self._stream = build_id.rpartition(":")[2]
        self._status = "IN_PROGRESS"
        self._began = time.time()
        self._ended: float | None = None
        self._phases: list[dict[str, Any]] = []
        self._stopping = threading.Event()
        self._command: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name=f"build-{build_id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, unless it has ended, and wait until it has."""
        self._stopping.set()
        command = self._command
        if command is not None:
            command.kill()
        self._thread.join(30)

    def description(self) -> dict[str, Any]:
        """As BatchGetBuilds has it."""
        arn = f"arn:aws:codebuild:{self._aws.region}:{self._aws.account_id}:build/{self.id}"
        found = {
            "arn": arn,
            "buildComplete": self._status != "IN_PROGRESS",
            "buildStatus": self._status,
            "currentPhase": self._phases[-1]["phaseType"] if self._phases else "SUBMITTED",
            "id": self.id,
            "logs": {"groupName": self._group, "streamName": self._stream},
            "phases": [dict(phase) for phase in self._phases],
            "projectName": self._project["name"],
            "serviceRole": self._role,
            "source": dict(self._source),
            "startTime": self._began,
        }
        return found | ({"endTime": self._ended} if self._ended else {})

    def _run(self) -> None:
        status = "FAILED"
        try:
            self._phase("DOWNLOAD_SOURCE", self._fetch)
            for name in PHASES:
                commands = (self._spec().get("phases", {}).get(name) or {}).get("commands") or ()
                if commands:
                    self._phase(name.upper(), lambda commands=commands: self._do(commands))
            status = "SUCCEEDED"
        except BuildError:
            status = "STOPPED" if self._stopping.is_set() else "FAILED"
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._ended = time.time()
            self._phases.append({"phaseType": "COMPLETED", "startTime": self._ended})
            self._status = status

    def _phase(self, name: str, work: Any) -> None:
        """Do the work of a phase, and write down how it went."""
        began = time.time()
        phase: dict[str, Any] = {"phaseType": name, "startTime": began}
        self._phases.append(phase)
        self._tell(f"Entering phase {name}")
        try:
            work()
            phase["phaseStatus"] = "SUCCEEDED"
        except Exception as error:
            text = str(error) if isinstance(error, BuildError) else repr(error)
            phase["phaseStatus"] = "FAILED"
            phase["contexts"] = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": text}]
            self._tell(f"Phase {name} failed: {text}")
            raise BuildError(text) from error
        finally:
            phase["endTime"] = time.time()
            phase["durationInSeconds"] = round(phase["endTime"] - began)

    def _tell(self, line: str) -> None:
        self._aws.log(self._group, self._stream, [f"[Container] {line}"], self._role)

    def _fetch(self) -> None:
        bucket, _, key = str(self._source["location"]).partition("/")
        s3 = role_client(self._aws, "s3", self._role, SESSION)
        try:
            content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except s3.exceptions.ClientError as error:
            said = error.response["Error"]
            raise BuildError(
                f"CLIENT_ERROR: {said['Code']}: {said.get('Message', '')} for primary source "
                f"arn:aws:s3:::{bucket}/{key}"
            ) from None
        self._folder.mkdir(parents=True)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(self._folder)
        except zipfile.BadZipFile as error:
            raise BuildError(f"CLIENT_ERROR: the source is no zip file: {error}") from None

    def _spec(self) -> dict[str, Any]:
        text = self._source.get("buildspec") or ""
        spec = yaml.safe_load(text) if ":" in text else None
        if not isinstance(spec, dict):
            raise BuildError("YAML_FILE_ERROR: the project has no buildspec in it")
        return spec

    def _do(self, commands: list[str]) -> None:
        for command in commands:
            if self._stopping.is_set():
                raise BuildError("the build was stopped")
            self._tell(f"Running command {command}")
            if "docker" in command.split():
                self._docker(command)
            else:
                self._bash(command)

    def _docker(self, command: str) -> None:
        """Do what one docker command would, as far as that can be."""
        login = command.startswith("aws ecr get-login-password")
        words = (
            ["docker", "login"] if login else shlex.split(os.path.expandvars(self._full(command)))
        )
        if words[:2] == ["docker", "login"]:
            if not self._aws.may(self._role, SESSION, "ecr", "GetAuthorizationToken", {}):
                raise BuildError("the role may not ecr:GetAuthorizationToken")
        elif words[:2] == ["docker", "build"]:
            for line in check_image(self._folder):
                self._tell(line)
        elif words[:2] == ["docker", "push"]:
            self._tell(push_image(self._aws, self._role, SESSION, words[-1], self._folder))
        else:
            raise BuildError(f"localaws does not imitate `{command}`")

    def _full(self, command: str) -> str:
        """A command with the build's variables written out."""
        for name, value in self._environment.items():
            command = command.replace(f"${{{name}}}", value).replace(f"${name}", value)
        return command

    def _bash(self, command: str) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), **self._environment}
        with subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            self._command = process
            for line in process.stdout or ():
                self._tell(line.rstrip())
        self._command = None
        if process.returncode != 0:
            raise BuildError(
                f"Error while executing command: {command}. Reason: exit status "
                f"{process.returncode}"
            )
