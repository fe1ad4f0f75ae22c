"""EC2 instances that really run: user data, SSM commands, services, stop and start.

moto keeps the records of instances, however they are launched: by Terraform, from a launch
template, by boto3. Every instance is also a Machine: a folder for its disk, and processes.

Not imitated: networks and security groups between machines, volumes, image contents (a machine
has this computer's programs, see image.py), fleets and auto scaling groups.
"""

import base64
import json
import logging
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws import forward, wire
from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply
from localaws.machines import image
from localaws.machines.commands import Question
from localaws.machines.init import Init
from localaws.machines.machine import Machine
from localaws.machines.ssm import Commands
from localaws.web import HttpRequest, WebServer

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    machine: Machine
    init: Init
    token: str
    """Leads to this machine's init; only its own processes know it."""
    role_arn: str | None


class Machines:
    """The EC2 instances, and Systems Manager's commands for them."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._web = WebServer()
        self._web.answer = self._answer_init
        self._server = threading.Thread(target=self._web.serve_forever, args=(0.1,), daemon=True)
        self._server.start()
        self._commands = Commands(aws, self._machine, self._role_arn)
        self.handlers: Mapping[Operation, Handler] = {
            ("ec2", "ModifyInstanceAttribute"): self._modify_attribute,
            ("ec2", "MonitorInstances"): self._monitor,
            ("ec2", "UnmonitorInstances"): self._monitor,
            **self._commands.handlers,
        }
        self.observers: Mapping[Operation, Observer] = {
            ("ec2", "RunInstances"): self._launched,
            ("ec2", "StartInstances"): self._each(self._start),
            ("ec2", "StopInstances"): self._each(self._stop),
            ("ec2", "RebootInstances"): self._each(self._reboot),
            ("ec2", "TerminateInstances"): self._each(self._terminate),
        }

    def close(self) -> None:
        """Switch every machine off."""
        with self._lock:
            entries = list(self._entries.values())
        for entry in entries:
            entry.init.clear()
        enders = [
            threading.Thread(target=entry.machine.power_off, args=(1.0,)) for entry in entries
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        self._web.shutdown()
        self._web.server_close()

    # What EC2 does to machines

    def _each(self, action: Callable[[_Entry], None]) -> Observer:
        def observe(call: Call, reply: Reply) -> Reply:
            for instance_id in call.params["InstanceIds"]:
                with self._lock:
                    entry = self._entries.get(instance_id)
                if entry:
                    action(entry)
            return reply

        return observe

    def _launched(self, call: Call, reply: Reply) -> Reply:
        for found in re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", reply.body):
            instance_id = found.decode()
            self._settle(instance_id, call.params)
            root = self._aws.folder / "machines" / instance_id
            image.install(root / "bin", self._aws.region)
            machine = Machine(instance_id, root, {"AWS_ENDPOINT_URL": self._aws.url})

            def power(action: str, instance_id: str = instance_id) -> None:
                self._power(instance_id, action)

            entry = _Entry(machine, Init(machine, power), secrets.token_urlsafe(16), None)
            with self._lock:
                self._entries[instance_id] = entry
            self._start(entry)
        return reply

    def _settle(self, instance_id: str, params: Mapping[str, Any]) -> None:
        """Write down what moto leaves out of a launch: most of what a template says."""
        ec2 = self._aws.records_client("ec2")
        asked = dict(params)
        template = dict(params.get("LaunchTemplate") or {})
        if template:
            version = template.pop("Version", "$Default")
            found = ec2.describe_launch_template_versions(Versions=[version], **template)
            asked = {**found["LaunchTemplateVersions"][0]["LaunchTemplateData"], **params}
        instance = self._describe(instance_id)
        if asked.get("IamInstanceProfile") and not instance.get("IamInstanceProfile"):
            ec2.associate_iam_instance_profile(
                InstanceId=instance_id, IamInstanceProfile=asked["IamInstanceProfile"]
            )
        facts = {
            "instanceInitiatedShutdownBehavior": asked.get("InstanceInitiatedShutdownBehavior"),
            "lifecycle": asked.get("InstanceMarketOptions", {}).get("MarketType"),
            "monitoringState": "enabled" if asked.get("Monitoring", {}).get("Enabled") else None,
        }
        for name, value in facts.items():
            if value:
                ec2.modify_instance_attribute(InstanceId=instance_id, Attribute=name, Value=value)

    def _start(self, entry: _Entry) -> None:
        if entry.machine.on:
            return
        instance_id = entry.machine.id
        entry.role_arn = self._role_of(self._describe(instance_id))
        metadata = self._aws.serve_instance_metadata(instance_id, entry.role_arn)
        environment = {
            **{name: address.rstrip("/") for name, address in metadata.items()},
            "LOCALAWS_INIT_URL": f"{self._web.url}/{entry.token}",
        }
        entry.machine.power_on(environment, self._user_data(instance_id))

    def _stop(self, entry: _Entry) -> None:
        entry.init.clear()
        entry.machine.power_off()

    def _reboot(self, entry: _Entry) -> None:
        self._stop(entry)
        self._start(entry)

    def _terminate(self, entry: _Entry) -> None:
        with self._lock:
            self._entries.pop(entry.machine.id, None)
        self._stop(entry)
        shutil.rmtree(entry.machine.root, ignore_errors=True)

    def _power(self, instance_id: str, action: str) -> None:
        """Obey `shutdown` of a machine, which needs no permission of its role."""
        ec2 = self._aws.client("ec2")
        if action == "reboot":
            ec2.reboot_instances(InstanceIds=[instance_id])
            return
        attribute = "instanceInitiatedShutdownBehavior"
        found = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute=attribute)
        if found["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate":
            ec2.terminate_instances(InstanceIds=[instance_id])
        else:
            ec2.stop_instances(InstanceIds=[instance_id])

    # What EC2 says of them

    def _describe(self, instance_id: str) -> dict[str, Any]:
        ec2 = self._aws.records_client("ec2")
        found = ec2.describe_instances(InstanceIds=[instance_id])
        instance: dict[str, Any] = found["Reservations"][0]["Instances"][0]
        return instance

    def _user_data(self, instance_id: str) -> bytes:
        ec2 = self._aws.records_client("ec2")
        found = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        return base64.b64decode(found["UserData"].get("Value", ""))

    def _role_of(self, instance: Mapping[str, Any]) -> str | None:
        arn = instance.get("IamInstanceProfile", {}).get("Arn")
        if not arn:
            return None
        iam = self._aws.records_client("iam")
        profile = iam.get_instance_profile(InstanceProfileName=arn.rsplit("/", 1)[1])
        roles = profile["InstanceProfile"]["Roles"]
        return str(roles[0]["Arn"]) if roles else None

    def _machine(self, instance_id: str) -> Machine | None:
        with self._lock:
            entry = self._entries.get(instance_id)
        return entry.machine if entry else None

    def _role_arn(self, instance_id: str) -> str | None:
        return self._role_of(self._describe(instance_id))

    def _modify_attribute(self, call: Call) -> Reply:
        params = dict(call.params)
        # moto takes this one only by name, and otherwise empties the security groups.
        behaviour = params.pop("InstanceInitiatedShutdownBehavior", None)
        if behaviour:
            params |= {
                "Attribute": "instanceInitiatedShutdownBehavior",
                "Value": behaviour["Value"],
            }
        return wire.result(call, forward.ask_records(self._aws, call, params))

    def _monitor(self, call: Call) -> Reply:
        state = "enabled" if call.operation == "MonitorInstances" else "disabled"
        ec2 = self._aws.records_client("ec2")
        for instance_id in call.params["InstanceIds"]:
            ec2.modify_instance_attribute(
                InstanceId=instance_id, Attribute="monitoringState", Value=state
            )
        monitored = [
            {"InstanceId": instance_id, "Monitoring": {"State": state}}
            for instance_id in call.params["InstanceIds"]
        ]
        return wire.result(call, {"InstanceMonitorings": monitored})

    # What machines ask of their init

    def _answer_init(self, request: HttpRequest) -> Reply:
        with self._lock:
            entries = {entry.token: entry for entry in self._entries.values()}
        entry = entries.get(request.path.strip("/"))
        if entry is None:
            raise AwsError("NotFound", "No machine has this init.", 404)
        asked = json.loads(request.body)
        answer = entry.init.answer(
            Question(
                command=tuple(asked["command"]),
                cwd=Path(asked["cwd"]),
                environment=asked["environment"],
            )
        )
        members = {"stdout": answer.stdout, "stderr": answer.stderr, "code": answer.code}
        return Reply(body=json.dumps(members).encode())
