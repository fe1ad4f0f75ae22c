"""CodeBuild's projects, which moto keeps, and their builds, which really run.

Not imitated, and refused by name: sources other than S3, artifacts, batch builds, phases besides
those of build.py, and docker commands other than login, build and push.
"""

import threading
import uuid
from collections.abc import Mapping
from typing import Any

from localaws import wire
from localaws.builds.build import Build
from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply

_KEPT = (
    "artifacts",
    "cache",
    "description",
    "environment",
    "logsConfig",
    "queuedTimeoutInMinutes",
    "serviceRole",
    "source",
    "tags",
    "timeoutInMinutes",
)


class Builds:
    """Takes builds, runs them, and says how they went."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._lock = threading.Lock()
        self._builds: dict[str, Build] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("codebuild", "BatchGetBuilds"): self._get,
            ("codebuild", "DeleteProject"): self._delete,
            ("codebuild", "ListBuildsForProject"): self._list,
            ("codebuild", "StartBuild"): self._start,
            ("codebuild", "StopBuild"): self._stop,
            ("codebuild", "UpdateProject"): self._update,
        }
        self.observers: Mapping[Operation, Observer] = {}

    def close(self) -> None:
        """End every build."""
        with self._lock:
            builds = list(self._builds.values())
        for build in builds:
            build.stop()

    def _project(self, name: str) -> dict[str, Any]:
        found = self._aws.records_client("codebuild").batch_get_projects(names=[name])["projects"]
        if not found:
            arn = f"arn:aws:codebuild:{self._aws.region}:{self._aws.account_id}:project/{name}"
            raise AwsError("ResourceNotFoundException", f"Project cannot be found: {arn}")
        return dict(found[0])

    def _start(self, call: Call) -> Reply:
        params = call.params
        project = self._project(str(params["projectName"]))
        source = dict(project["source"])
        source["type"] = params.get("sourceTypeOverride") or source["type"]
        source["location"] = params.get("sourceLocationOverride") or source.get("location")
        if source["type"] != "S3":
            raise AwsError("InvalidInputException", f"localaws builds no {source['type']} source.")
        variables = [
            *(project["environment"].get("environmentVariables") or ()),
            *(params.get("environmentVariablesOverride") or ()),
        ]
        build = Build(
            self._aws,
            build_id=f"{project['name']}:{uuid.uuid4()}",
            project=project,
            source=source,
            environment={one["name"]: one["value"] for one in variables},
        )
        with self._lock:
            self._builds[build.id] = build
        build.start()
        return wire.result(call, {"build": build.description()})

    def _get(self, call: Call) -> Reply:
        wanted = [str(one).rpartition("build/")[2] for one in call.params["ids"]]
        with self._lock:
            found = {one: self._builds[one] for one in wanted if one in self._builds}
        return wire.result(
            call,
            {
                "builds": [build.description() for build in found.values()],
                "buildsNotFound": [one for one in wanted if one not in found],
            },
        )

    def _list(self, call: Call) -> Reply:
        name = self._project(str(call.params["projectName"]))["name"]
        with self._lock:
            ids = [one for one in self._builds if one.rpartition(":")[0] == name]
        return wire.result(call, {"ids": ids[::-1]})

    def _stop(self, call: Call) -> Reply:
        with self._lock:
            build = self._builds.get(str(call.params["id"]))
        if build is None:
            raise AwsError("ResourceNotFoundException", "There is no such build.")
        build.stop()
        return wire.result(call, {"build": build.description()})

    def _delete(self, call: Call) -> Reply:
        # AWS takes an ARN as well, and so does Terraform; moto takes a name only.
        name = str(call.params["name"]).rpartition("/")[2]
        self._aws.records_client("codebuild").delete_project(name=name)
        return wire.result(call, {})

    def _update(self, call: Call) -> Reply:
        project = self._project(str(call.params["name"]))
        kept = {name: project[name] for name in _KEPT if project.get(name)}
        given = {name: call.params[name] for name in _KEPT if call.params.get(name) is not None}
        records = self._aws.records_client("codebuild")
        records.delete_project(name=project["name"])
        made = records.create_project(name=project["name"], **{**kept, **given})
        return wire.result(call, {"project": made["project"]})
