"""The machine that trains: started, commanded through Systems Manager, and switched off again."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from contract.stack import Ec2Training
from pipeline.aws import Account, Client, error_code
from pipeline.cli import Failed

RUN_TAG = "kennel:run"
"""Marks the instances that are launched for one run."""
EXISTING = ["pending", "running", "stopping", "stopped"]
"""States of an instance that is still there."""
ONLINE_SECONDS = 600
COMMAND_SECONDS = 300
PAUSE_SECONDS = 2.0


def start_machine(
    account: Account, training: Ec2Training, name: str, run_id: str, tell: Callable[[str], None]
) -> str:
    """Start the kept instance, or launch one for this run, and wait until commands reach it.

    Returns:
        The instance's id.

    Raises:
        Failed: it does not come up.
    """
    ec2 = account.client("ec2")
    if training.instance_id is None:
        instance_id = _launch(ec2, training, name, run_id)
        tell(f"Launched {training.instance_type} {instance_id} for this run.")
    else:
        instance_id = training.instance_id
        if machine_state(account, instance_id) == "stopping":
            ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance_id])
        ec2.start_instances(InstanceIds=[instance_id])
        tell(f"Starting {training.instance_type} {instance_id}.")
    try:
        ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id])
        _wait_online(account, instance_id)
    except (Failed, WaiterError, KeyboardInterrupt):
        switch_off(account, training, instance_id)
        raise
    return instance_id


def run_command(account: Account, instance_id: str, lines: Sequence[str], log_group: str) -> str:
    """Run a short shell script on the machine.

    Args:
        account: where it is.
        instance_id: which machine.
        lines: of the script.
        log_group: keeps all that it prints.

    Returns:
        Its output.

    Raises:
        Failed: it failed; the message has its complaint.
    """
    ssm = account.client("ssm")
    sent = ssm.send_command(
        InstanceIds=[instance_id],
        DocumentName="AWS-RunShellScript",
        Parameters={"commands": list(lines), "executionTimeout": [str(COMMAND_SECONDS)]},
        CloudWatchOutputConfig={
            "CloudWatchLogGroupName": log_group,
            "CloudWatchOutputEnabled": True,
        },
    )
    command = {"CommandId": sent["Command"]["CommandId"], "InstanceId": instance_id}
    deadline = time.monotonic() + COMMAND_SECONDS
    while time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        try:
            found = ssm.get_command_invocation(**command)
        except ClientError as error:
            if error_code(error) == "InvocationDoesNotExist":
                continue  # it is not yet known everywhere
            raise
        if found["Status"] == "Success":
            return str(found["StandardOutputContent"])
        if found["Status"] not in {"Pending", "InProgress", "Delayed"}:
            complaint = found["StandardErrorContent"] or found["StandardOutputContent"]
            raise Failed(f"The command on {instance_id} ended {found['Status']}: {complaint}")
    raise Failed(f"The command on {instance_id} did not end within {COMMAND_SECONDS} s.")


def machine_state(account: Account, instance_id: str) -> str:
    """`running`, `stopped` and so on."""
    return str(_describe(account, instance_id)["State"]["Name"])


def running_since(account: Account, instance_id: str) -> datetime | None:
    """When the machine was last started; `None` when it does not run."""
    found = _describe(account, instance_id)
    started: datetime = found["LaunchTime"]
    return started if found["State"]["Name"] in {"pending", "running"} else None


def switch_off(account: Account, training: Ec2Training, instance_id: str) -> None:
    """Stop the kept instance, or end the one of this run; no error when it is off already."""
    ec2 = account.client("ec2")
    if training.instance_id is None:
        ec2.terminate_instances(InstanceIds=[instance_id])
    elif machine_state(account, instance_id) not in {"stopping", "stopped"}:
        ec2.stop_instances(InstanceIds=[instance_id])


def _describe(account: Account, instance_id: str) -> dict[str, Any]:
    found = account.client("ec2").describe_instances(InstanceIds=[instance_id])
    instance: dict[str, Any] = found["Reservations"][0]["Instances"][0]
    return instance


def _launch(ec2: Client, training: Ec2Training, name: str, run_id: str) -> str:
    tags = {"Name": f"{name}-training", "project": name, RUN_TAG: run_id}
    try:
        launched = ec2.run_instances(
            LaunchTemplate={"LaunchTemplateId": training.launch_template_id},
            MinCount=1,
            MaxCount=1,
            ClientToken=run_id,
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
            ],
        )
    except ClientError as error:
        if error_code(error) in {"InsufficientInstanceCapacity", "SpotMaxPriceTooLow"}:
            raise Failed(
                f"AWS has no {training.instance_type} for this run now ({error_code(error)}). Try "
                "later, another type, or, if ec2_training.spot is true in the settings, false."
            ) from error
        raise
    return str(launched["Instances"][0]["InstanceId"])


def _wait_online(account: Account, instance_id: str) -> None:
    ssm = account.client("ssm")
    deadline = time.monotonic() + ONLINE_SECONDS
    while time.monotonic() < deadline:
        found = ssm.describe_instance_information(
            Filters=[{"Key": "InstanceIds", "Values": [instance_id]}]
        )["InstanceInformationList"]
        if found and found[0]["PingStatus"] == "Online":
            return
        time.sleep(PAUSE_SECONDS)
    raise Failed(
        f"{instance_id} runs, but Systems Manager does not reach it after {ONLINE_SECONDS} s. "
        "It needs a way out to AWS by TLS and the instance profile that Terraform made."
    )
