"""Instances that really run, through a started local AWS."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":"ec2.amazonaws.com"}}]}'
)
AGENT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":'
    '["ssm:UpdateInstanceInformation","ssmmessages:*","s3:PutObject"]}]}'
)
END = ("Success", "Failed", "TimedOut", "Cancelled")


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, "It did not become true in time."
        threading.Event().wait(0.05)
    return value


def running(instance: str) -> list[str]:
    """Command lines of all processes that belong to an instance's folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"/machines/{instance}/home".encode() in environment and line:
            found.append(line)
    return found


class Fleet:
    """Launches instances, and commands them."""

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self.ec2 = aws.client("ec2")
        self.ssm = aws.client("ssm")
        self.ids: list[str] = []

    def launch(self, user_data: str = "", profile: str | None = "box", **more: Any) -> str:
        if profile:
            more["IamInstanceProfile"] = {"Name": profile}
        found = self.ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, InstanceType="t3.large",
            UserData=user_data, **more,
        )  # fmt: skip
        self.ids.append(found["Instances"][0]["InstanceId"])
        return self.ids[-1]

    def root(self, instance: str) -> Path:
        return Path(self.aws.folder) / "machines" / instance

    def read(self, instance: str, name: str) -> str:
        file = self.root(instance) / name
        return file.read_text() if file.exists() else ""

    def state(self, instance: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance])
        return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])

    def send(self, instance: str, *lines: str, **more: Any) -> str:
        parameters = {"commands": list(lines), **more.pop("Parameters", {})}
        sent = self.ssm.send_command(
            InstanceIds=[instance],
            DocumentName="AWS-RunShellScript",
            Parameters=parameters,
            **more,
        )
        return str(sent["Command"]["CommandId"])

    def invocation(self, instance: str, command: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ssm.get_command_invocation(
            CommandId=command, InstanceId=instance
        )
        return found

    def ended(self, instance: str, command: str) -> dict[str, Any]:
        until(lambda: self.invocation(instance, command)["Status"] in END)
        return self.invocation(instance, command)

    def run(self, instance: str, *lines: str, **more: Any) -> dict[str, Any]:
        return self.ended(instance, self.send(instance, *lines, **more))


@pytest.fixture(scope="module")
def aws_with_roles(local_aws: Any) -> Any:
    iam = local_aws.client("iam")
    for name, policy in {"box": AGENT, "mute": AGENT.replace("ssm:Update", "ssm:Forget")}.items():
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        iam.put_role_policy(RoleName=name, PolicyName="agent", PolicyDocument=policy)
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return local_aws


@pytest.fixture
def fleet(aws_with_roles: Any) -> Iterator[Fleet]:
    fleet = Fleet(aws_with_roles)
    yield fleet
    if fleet.ids:
        fleet.ec2.terminate_instances(InstanceIds=fleet.ids)


def test_user_data_runs_at_the_first_boot_only_and_per_boot_scripts_at_each(fleet: Fleet) -> None:
    script = """#!/bin/bash
        echo first >> "$HOME/boots"
        printf '#!/bin/sh\\necho each >> "$HOME/boots"\\n' > "$KENNEL_PER_BOOT/each.sh"
        chmod +x "$KENNEL_PER_BOOT/each.sh"
    """
    machine = fleet.launch(script)
    fleet.run(machine, "cloud-init status --wait")
    fleet.ec2.stop_instances(InstanceIds=[machine])

    fleet.ec2.start_instances(InstanceIds=[machine])
    fleet.run(machine, "cloud-init status --wait")

    assert fleet.read(machine, "home/boots") == "first\neach\n"


def test_an_instance_of_a_launch_template_gets_all_that_the_template_says(fleet: Fleet) -> None:
    user_data = base64.b64encode(b"#!/bin/bash\necho from the template > $HOME/told\n").decode()
    fleet.ec2.create_launch_template(
        LaunchTemplateName="box",
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",
            "IamInstanceProfile": {"Name": "box"},
            "InstanceInitiatedShutdownBehavior": "terminate",
            "InstanceMarketOptions": {"MarketType": "spot"},
            "UserData": user_data,
        },
    )

    found = fleet.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "box"}, MinCount=1, MaxCount=1
    )
    machine = found["Instances"][0]["InstanceId"]
    fleet.ids.append(machine)

    about = fleet.ec2.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]
    assert until(lambda: fleet.read(machine, "home/told")) == "from the template\n"
    assert about["IamInstanceProfile"]["Arn"].endswith("/box")
    assert about["InstanceLifecycle"] == "spot"
    assert fleet.run(machine, "shutdown -h now")["Status"] in END
    until(lambda: fleet.state(machine) == "terminated")


def test_a_terminated_instance_leaves_no_process_and_no_file(fleet: Fleet) -> None:
    machine = fleet.launch("#!/bin/bash\nsetsid sleep 600 &\necho up > $HOME/up\nsleep 600\n")
    until(lambda: fleet.read(machine, "home/up"))
    assert any("sleep 600" in line for line in running(machine))

    fleet.ec2.terminate_instances(InstanceIds=[machine])

    assert running(machine) == []
    assert not fleet.root(machine).exists()


def test_a_command_runs_with_the_rights_of_the_instance_alone(fleet: Fleet) -> None:
    machine = fleet.launch()

    done = fleet.run(machine, "aws sts get-caller-identity --query Arn --output text", "env")

    lines = done["StandardOutputContent"].splitlines()
    assert done["Status"] == "Success", done
    assert lines[0].endswith(f":assumed-role/box/{machine}")
    assert not [line for line in lines if line.startswith(("AWS_ACCESS", "AWS_SECRET"))]


def test_a_failed_command_tells_its_exit_status_and_both_outputs(fleet: Fleet) -> None:
    machine = fleet.launch()

    done = fleet.run(machine, "echo good", "echo bad >&2", "exit 3")

    assert (done["Status"], done["ResponseCode"]) == ("Failed", 3)
    assert done["StandardOutputContent"] == "good\n"
    assert done["StandardErrorContent"] == "bad\nfailed to run commands: exit status 3"


def test_long_output_is_cut_but_whole_in_the_bucket(fleet: Fleet) -> None:
    machine = fleet.launch()
    s3 = fleet.aws.client("s3")
    s3.create_bucket(Bucket="command-output")

    done = fleet.run(machine, "python3 -c 'print(\"x\" * 30000)'",
                     OutputS3BucketName="command-output", OutputS3KeyPrefix="out")  # fmt: skip

    key = s3.list_objects_v2(Bucket="command-output", Prefix="out/")["Contents"][0]["Key"]
    assert len(done["StandardOutputContent"]) == 24_000
    assert len(s3.get_object(Bucket="command-output", Key=key)["Body"].read()) == 30_001


def test_a_command_that_takes_too_long_is_ended(fleet: Fleet) -> None:
    machine = fleet.launch()

    done = fleet.run(machine, "sleep 600", Parameters={"executionTimeout": ["1"]})

    assert (done["Status"], done["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
    assert running(machine) == []


def test_a_cancelled_command_is_ended(fleet: Fleet) -> None:
    machine = fleet.launch()
    command = fleet.send(machine, "echo up > $HOME/up", "sleep 600")
    until(lambda: fleet.read(machine, "home/up"))

    fleet.ssm.cancel_command(CommandId=command)

    assert fleet.ended(machine, command)["Status"] == "Cancelled"
    assert running(machine) == []


def test_commands_reach_only_instances_that_are_online(fleet: Fleet) -> None:
    alone, mute, off = fleet.launch(profile=None), fleet.launch(profile="mute"), fleet.launch()
    assert fleet.run(off, "true")["Status"] == "Success"
    fleet.ec2.stop_instances(InstanceIds=[off])

    for machine in (alone, mute, off):
        with pytest.raises(fleet.ssm.exceptions.InvalidInstanceId):
            fleet.send(machine, "true")

    found = fleet.ssm.describe_instance_information(
        Filters=[{"Key": "InstanceIds", "Values": [alone, mute, off]}]
    )
    pings = {i["InstanceId"]: i["PingStatus"] for i in found["InstanceInformationList"]}
    assert pings == {off: "ConnectionLost"}


def test_a_unit_lives_on_after_the_command_and_shutdown_ends_it(fleet: Fleet) -> None:
    machine = fleet.launch()

    started = fleet.run(
        machine,
        "systemd-run --unit=kennel-1 -E COLOUR=red bash -c 'echo $COLOUR; sleep 600'",
        "systemctl is-active kennel-1",
        "systemctl list-units --state=running --no-legend --plain 'kennel-*'",
    )
    until(lambda: "red" in fleet.run(machine, "journalctl -u kennel-1")["StandardOutputContent"])
    fleet.send(machine, "sudo shutdown -h now")
    until(lambda: fleet.state(machine) == "stopped")

    assert started["StandardOutputContent"].startswith("active\nkennel-1.service loaded active")
    until(lambda: running(machine) == [])
    assert fleet.root(machine).is_dir()


def test_a_failed_unit_is_remembered_until_it_is_reset(fleet: Fleet) -> None:
    machine = fleet.launch()

    done = fleet.run(
        machine,
        "systemd-run --wait --unit=broken bash -c 'echo why; exit 7'; echo $?",
        "systemctl show broken -p ActiveState,Result --property=ExecMainStatus",
        "systemd-run --unit=broken true || echo refused",
        "systemctl reset-failed broken",
        "systemctl show broken -p LoadState --value",
        "journalctl -u broken",
    )

    assert done["StandardOutputContent"].split() == [
        "7", "ActiveState=failed", "Result=exit-code", "ExecMainStatus=7", "refused", "not-found",
        "why",
    ]  # fmt: skip


def test_a_virtual_environment_sees_the_packages_of_the_machine(fleet: Fleet) -> None:
    machine = fleet.launch()

    done = fleet.run(
        machine,
        "python3 -m venv --system-site-packages $HOME/venv",
        "$HOME/venv/bin/python -c 'import boto3, sys; print(sys.prefix)'",
        f"$HOME/venv/bin/python -m pip install -q --no-index setuptools=={version('setuptools')}",
    )

    assert done["Status"] == "Success", done
    assert done["StandardOutputContent"].strip() == str(fleet.root(machine) / "home" / "venv")


def test_a_new_shutdown_behaviour_keeps_the_security_groups(fleet: Fleet) -> None:
    group = fleet.ec2.create_security_group(GroupName="box", Description="box")["GroupId"]
    machine = fleet.launch(SecurityGroupIds=[group])

    fleet.ec2.modify_instance_attribute(
        InstanceId=machine, InstanceInitiatedShutdownBehavior={"Value": "terminate"}
    )
    fleet.ec2.monitor_instances(InstanceIds=[machine])

    about = fleet.ec2.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]
    attribute = fleet.ec2.describe_instance_attribute(
        InstanceId=machine, Attribute="instanceInitiatedShutdownBehavior"
    )
    assert attribute["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    assert about["Monitoring"]["State"] == "enabled"
    assert [found["GroupId"] for found in about["SecurityGroups"]] == [group]


def test_a_machine_that_is_told_to_stop_may_finish_its_work(fleet: Fleet) -> None:
    machine = fleet.launch(
        "#!/bin/bash\ntrap 'sleep 1; echo saved > $HOME/saved; exit' TERM\n"
        "echo up > $HOME/up\nwhile :; do sleep 0.1; done\n"
    )
    until(lambda: fleet.read(machine, "home/up"))

    fleet.ec2.stop_instances(InstanceIds=[machine])

    assert fleet.read(machine, "home/saved") == "saved\n"


def test_an_instance_finds_its_metadata_with_a_token_only(fleet: Fleet) -> None:
    machine = fleet.launch()

    done = fleet.run(
        machine,
        'at="$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest"',
        'token=$(curl -sf -X PUT "$at/api/token" -H "X-aws-ec2-metadata-token-ttl-seconds: 60")',
        'curl -sf -H "X-aws-ec2-metadata-token: $token" "$at/meta-data/instance-id"; echo',
        'curl -s -o /dev/null -w "%{http_code}" "$at/meta-data/instance-id"',
    )

    assert done["StandardOutputContent"].split() == [machine, "401"]


def test_a_delayed_service_waits_and_can_be_cancelled(fleet: Fleet) -> None:
    machine = fleet.launch()

    done = fleet.run(
        machine,
        "systemd-run --unit=later --on-active=1h shutdown -h now",
        "systemctl is-active later.timer",
        "systemctl stop later.timer",
        "systemctl is-active later.timer",
    )

    assert done["StandardOutputContent"].split() == ["active", "inactive"]


def test_a_unit_that_ends_too_late_is_stopped_and_says_so(fleet: Fleet) -> None:
    machine = fleet.launch()

    done = fleet.run(
        machine,
        "systemd-run --wait --unit=slow -p RuntimeMaxSec=1 "
        "-p 'ExecStopPost=sh -c \"echo ended by $SERVICE_RESULT\"' sleep 600",
        "systemctl show slow -p Result",
        "journalctl -u slow -n 1",
    )

    assert done["StandardOutputContent"].splitlines() == ["Result=timeout", "ended by timeout"]
