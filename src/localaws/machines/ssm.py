"""Systems Manager's Run Command: AWS-RunShellScript on machines that are online.

A machine is online when it runs and its role may register it, as the agent on the machine does.
What the agent does there is done with the machine's own role: output to S3 and CloudWatch.
"""

import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply, json_reply
from localaws.machines.agent import may_register
from localaws.machines.invocation import Invocation, Order
from localaws.machines.machine import Machine

PARAMETERS = {"commands", "workingDirectory", "executionTimeout"}
DEFAULT_TIMEOUT_SECONDS = 3600
FINISHED = ("Success", "Failed", "TimedOut", "Cancelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Command:
    id: str
    params: Mapping[str, Any]
    requested_at: float
    invocations: dict[str, Invocation] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Of all its invocations together."""
        states = [invocation.status for invocation in self.invocations.values()]
        if any(state not in FINISHED for state in states):
            return "InProgress"
        return next((state for state in states if state != "Success"), "Success")


class Commands:
    """Takes commands, runs them, and says how they went.

    Args:
        aws: the running local AWS.
        machine: the machine of an instance; None when there is none.
        role_arn: the role of an instance.
    """

    def __init__(
        self,
        aws: LocalAws,
        machine: Callable[[str], Machine | None],
        role_arn: Callable[[str], str | None],
    ) -> None:
        self._aws = aws
        self._machine = machine
        self._role_arn = role_arn
        self._commands: dict[str, _Command] = {}
        self._pings: dict[str, float] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("ssm", "CancelCommand"): self._cancel,
            ("ssm", "DescribeInstanceInformation"): self._describe_instances,
            ("ssm", "GetCommandInvocation"): self._get_invocation,
            ("ssm", "ListCommandInvocations"): self._list_invocations,
            ("ssm", "ListCommands"): self._list_commands,
            ("ssm", "SendCommand"): self._send,
        }

    def _send(self, call: Call) -> Reply:
        params = call.params
        if params["DocumentName"] not in ("AWS-RunShellScript",) and not params[
            "DocumentName"
        ].endswith(":document/AWS-RunShellScript"):
            raise AwsError(
                "InvalidDocument",
                f"{params['DocumentName']} is not imitated; use AWS-RunShellScript.",
            )
        given = params.get("Parameters", {})
        timeout = _one(given, "executionTimeout", str(DEFAULT_TIMEOUT_SECONDS))
        if not given.get("commands") or given.keys() - PARAMETERS:
            raise AwsError(
                "InvalidParameters",
                f"AWS-RunShellScript takes {', '.join(sorted(PARAMETERS))}; commands is required.",
            )
        if re.fullmatch(r"[1-9]\d{0,5}", timeout) is None or int(timeout) > 172_800:
            raise AwsError("InvalidParameters", "executionTimeout must be 1 to 172800.")
        targets = self._targets(params)
        offline = [instance_id for instance_id in targets if not self._online(instance_id)]
        if offline or not targets:
            raise AwsError(
                "InvalidInstanceId",
                f"Instances [[{', '.join(offline)}]] not in a valid state for account "
                f"{self._aws.account_id}",
            )
        command = _Command(id=str(uuid.uuid4()), params=params, requested_at=time.time())
        for instance_id in targets:
            machine = self._machine(instance_id)
            if machine is not None:
                order = Order(
                    command_id=command.id,
                    lines=tuple(given["commands"]),
                    working_directory=_one(given, "workingDirectory", ""),
                    timeout_seconds=int(timeout),
                    bucket=params.get("OutputS3BucketName"),
                    key_prefix=params.get("OutputS3KeyPrefix", ""),
                    cloudwatch=params.get("CloudWatchOutputConfig", {}),
                    role_arn=self._role_arn(instance_id) or "",
                )
                command.invocations[instance_id] = Invocation(self._aws, machine, order)
        self._commands[command.id] = command
        for invocation in command.invocations.values():
            invocation.start()
        return json_reply({"Command": self._about_command(command)})

    def _targets(self, params: Mapping[str, Any]) -> list[str]:
        ids = list(params.get("InstanceIds", []))
        filters = []
        for target in params.get("Targets", []):
            if target["Key"].lower() == "instanceids":
                ids += target["Values"]
            else:
                filters.append({"Name": target["Key"], "Values": target["Values"]})
        if filters:
            ec2 = self._aws.records_client("ec2")
            found = ec2.describe_instances(Filters=filters)["Reservations"]
            ids += [i["InstanceId"] for reservation in found for i in reservation["Instances"]]
            ids = [instance_id for instance_id in ids if self._online(instance_id)]
        return list(dict.fromkeys(ids))

    def _online(self, instance_id: str) -> bool:
        machine = self._machine(instance_id)
        role_arn = self._role_arn(instance_id) if machine and machine.on else None
        if role_arn is None or not may_register(self._aws, role_arn, instance_id):
            return False
        self._pings[instance_id] = time.time()
        return True

    def _describe_instances(self, call: Call) -> Reply:
        wanted: set[str] = set()
        for item in call.params.get("Filters", []):
            wanted |= set(item["Values"] if item["Key"] == "InstanceIds" else ())
        for item in call.params.get("InstanceInformationFilterList", []):
            wanted |= set(item["valueSet"] if item["key"] == "InstanceIds" else ())
        found = self._aws.records_client("ec2").describe_instances()["Reservations"]
        instances = [
            instance
            for reservation in found
            for instance in reservation["Instances"]
            if not wanted or instance["InstanceId"] in wanted
        ]
        return json_reply(
            {
                "InstanceInformationList": [
                    about for instance in instances if (about := self._about_instance(instance))
                ]
            }
        )

    def _about_instance(self, instance: Mapping[str, Any]) -> dict[str, Any] | None:
        instance_id = instance["InstanceId"]
        online = self._online(instance_id)
        if instance_id not in self._pings or self._machine(instance_id) is None:
            return None
        return {
            "InstanceId": instance_id,
            "PingStatus": "Online" if online else "ConnectionLost",
            "LastPingDateTime": self._pings[instance_id],
            "AgentVersion": "3.3.0.0",
            "IsLatestVersion": True,
            "PlatformType": "Linux",
            "PlatformName": "Ubuntu",
            "PlatformVersion": "22.04",
            "ResourceType": "EC2Instance",
            "IPAddress": instance.get("PrivateIpAddress", ""),
            "ComputerName": instance.get("PrivateDnsName", ""),
        }

    def _cancel(self, call: Call) -> Reply:
        command = self._command(call.params["CommandId"])
        for instance_id in call.params.get("InstanceIds") or list(command.invocations):
            if instance_id in command.invocations:
                command.invocations[instance_id].cancel()
        return json_reply({})

    def _get_invocation(self, call: Call) -> Reply:
        command = self._commands.get(call.params["CommandId"])
        invocation = command and command.invocations.get(call.params["InstanceId"])
        if not command or not invocation:
            raise AwsError("InvocationDoesNotExist", "")
        return json_reply(
            {
                **invocation.members(),
                "CommandId": command.id,
                "Comment": command.params.get("Comment", ""),
                "DocumentName": command.params["DocumentName"],
                "PluginName": "aws:runShellScript",
            }
        )

    def _list_invocations(self, call: Call) -> Reply:
        details = call.params.get("Details", False)
        return json_reply(
            {
                "CommandInvocations": [
                    {
                        "CommandId": command.id,
                        "Comment": command.params.get("Comment", ""),
                        "DocumentName": command.params["DocumentName"],
                        "InstanceId": instance_id,
                        "RequestedDateTime": command.requested_at,
                        "Status": invocation.status,
                        "StatusDetails": invocation.status_details,
                        "CommandPlugins": [invocation.plugin()] if details else [],
                    }
                    for command in self._chosen(call)
                    for instance_id, invocation in command.invocations.items()
                    if instance_id == call.params.get("InstanceId", instance_id)
                ]
            }
        )

    def _list_commands(self, call: Call) -> Reply:
        return json_reply({"Commands": [self._about_command(c) for c in self._chosen(call)]})

    def _chosen(self, call: Call) -> list[_Command]:
        chosen = call.params.get("CommandId")
        return [c for c in list(self._commands.values()) if chosen in (None, c.id)]

    def _command(self, command_id: str) -> _Command:
        try:
            return self._commands[command_id]
        except KeyError:
            raise AwsError("InvalidCommandId", f"There is no command {command_id}.") from None

    def _about_command(self, command: _Command) -> dict[str, Any]:
        states = [invocation.status for invocation in command.invocations.values()]
        kept = ("Comment", "CloudWatchOutputConfig", "OutputS3BucketName", "OutputS3KeyPrefix",
                "Parameters", "Targets", "TimeoutSeconds", "DocumentName")  # fmt: skip
        return {
            **{name: command.params[name] for name in kept if name in command.params},
            "CommandId": command.id,
            "CompletedCount": sum(state in FINISHED for state in states),
            "ErrorCount": sum(state in ("Failed", "TimedOut") for state in states),
            "InstanceIds": list(command.invocations),
            "RequestedDateTime": command.requested_at,
            "Status": command.status,
            "StatusDetails": command.status,
            "TargetCount": len(states),
        }


def _one(given: Mapping[str, list[str]], name: str, default: str) -> str:
    values = given.get(name) or [default]
    return str(values[0])
