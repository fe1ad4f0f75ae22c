"""`make train-ec2`: trains on the stage's EC2 instance and brings the model to build/model.

Code, pictures and weights go to the bucket; a command through Systems Manager starts a systemd
unit on the instance, which reports to the bucket. The log is shown here as it grows, and what it
costs. However the run ends, the instance is switched off: by itself when this computer has gone,
from here else. Checkpoints go to the bucket too: after an interruption, by Ctrl-C or because spot
capacity was taken away, the same command goes on from the last one.
"""

import argparse
import json
import shlex
import time
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from contract.stack import Stack
from contract.strict import require
from pipeline.aws import Account, Client, error_code, pages
from pipeline.cli import Failed, find_place, run_verb, say, verb_parser
from pipeline.cost.prices import read_prices
from pipeline.instances import machine_state, run_command, running_since, start_machine, switch_off
from pipeline.meter import Meter
from pipeline.results import bring_run
from pipeline.runs import Inputs, add_options, as_json, describe, prepare, show
from pipeline.stacks import stack_of

PAUSE_SECONDS = 2.0
ENDED = frozenset({"done", "failed", "interrupted"})
GOES_ON = "The same command goes on from its last checkpoint."


class Bill:
    """What the machine costs since it was started."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._began = time.monotonic()

    def spent(self) -> str:
        """`3.1 minutes: $0.01`."""
        seconds = time.monotonic() - self._began
        return f"{seconds / 60:.1f} minutes: {self.meter.cost(seconds)}"


class Follower:
    """Reads a run's status and the new lines of its log from the bucket."""

    def __init__(self, s3: Client, bucket: str, run_id: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = f"runs/{run_id}/"
        self._read_bytes = 0
        self._rest = b""

    def status(self) -> dict[str, Any]:
        """The run's status.json; its phase is `starting` while there is none."""
        body = self._get("status.json", 0)
        return json.loads(body) if body else {"phase": "starting"}

    def new_lines(self) -> list[str]:
        """Whole lines that were not returned before."""
        body = self._get("train.log", self._read_bytes)
        self._read_bytes += len(body)
        *lines, self._rest = (self._rest + body).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _get(self, name: str, start: int) -> bytes:
        try:
            found = self._s3.get_object(
                Bucket=self._bucket, Key=self._prefix + name, Range=f"bytes={start}-"
            )
        except ClientError as error:
            if error_code(error) in {"NoSuchKey", "404", "InvalidRange", "416"}:
                return b""
            raise
        return bytes(found["Body"].read())


def start_unit(account: Account, instance_id: str, inputs: Inputs, log_group: str) -> None:
    """Start the run's unit on the machine."""
    run_uri = f"s3://{inputs.bucket}/runs/{inputs.run_id}"
    environment = {
        "AWS_DEFAULT_REGION": account.region,
        "AWS_REGION": account.region,
        "DATA_URI": inputs.data_uri,
        "RUN_ID": inputs.run_id,
        "RUN_URI": run_uri,
        "WEIGHTS": inputs.weights,
        "CHECKPOINTS_URI": f"s3://{inputs.bucket}/{checkpoints_prefix(inputs)}".rstrip("/"),
    }
    variables = " ".join(
        f"--setenv={shlex.quote(f'{name}={value}')}" for name, value in environment.items()
    )
    archive = shlex.quote(f"s3://{inputs.bucket}/{inputs.code.key}")
    run_command(account, instance_id, [
        "set -eu",
        f"echo Starting run {inputs.run_id}",
        # The agent starts commands without a home.
        'HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"; export HOME',
        f'folder="$HOME/kennel/runs/{inputs.run_id}"; mkdir -p "$folder"; cd "$folder"',
        f"export AWS_DEFAULT_REGION={account.region}",
        f"aws s3 cp --only-show-errors {archive} training.tar.gz",
        "tar -xzf training.tar.gz",
        f"systemd-run --unit=kennel-{inputs.run_id} --collect --working-directory=\"$folder\" "
        f'--setenv="HOME=$HOME" --setenv="PATH=$PATH" {variables} bash run_on_instance.sh',
    ], log_group)  # fmt: skip


def checkpoints_prefix(inputs: Inputs) -> str:
    """Where the checkpoints of all runs with the same inputs lie."""
    return f"runs/checkpoints/{inputs.fingerprint}/"


def follow(account: Account, instance_id: str, run_id: str, follower: Follower, bill: Bill) -> None:
    """Show a run's log and cost until it ends.

    Raises:
        Failed: it failed, or its machine is gone.
    """
    recent: list[str] = []
    while True:
        status = follower.status()
        lines = follower.new_lines()
        show(lines)
        recent = [*recent, *lines][-10:]
        if status["phase"] == "done":
            return
        if status["phase"] == "failed":
            raise Failed(f"Run {run_id} failed: {status['message']}")
        if status["phase"] == "interrupted":
            raise Failed(f"Run {run_id} was interrupted; {status['message']}. {GOES_ON}")
        off = machine_state(account, instance_id) not in {"pending", "running"}
        if off and follower.status()["phase"] not in ENDED:
            raise Failed(
                f"The machine went off before run {run_id} ended. {GOES_ON} Its last lines were:\n"
                + "\n".join(recent)
            )
        if bill.meter.due():
            say(f"  so far {bill.spent()}")
        time.sleep(PAUSE_SECONDS)


def remove_checkpoints(s3: Client, bucket: str, prefix: str) -> None:
    """A run that has ended needs none."""
    for item in pages(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
        s3.delete_object(Bucket=bucket, Key=item["Key"])


def main(argv: Sequence[str] | None = None) -> int:
    """Train on EC2."""
    parser = verb_parser(__doc__)
    add_options(parser)
    return run_verb(parser, argv, _train)


def _train(options: argparse.Namespace) -> None:
    place = find_place(options)
    stack, settings = stack_of(place), place.settings.ec2_training
    account = Account(stack.region)
    s3 = account.client("s3")
    _refuse_second_run(account, stack)
    inputs = prepare(options, s3, stack.bucket, say)
    s3.put_object(
        Bucket=stack.bucket,
        Key=f"runs/{inputs.run_id}/hyperparameters.json",
        Body=as_json(inputs.hyperparameters),
    )
    prices = read_prices(stack.region)
    bill = Bill(Meter(prices, f"ec2 {stack.ec2_training.instance_type}", spot=settings.spot))
    say(f"Run {inputs.run_id} is on {bill.meter.rate()}.")
    instance_id = start_machine(account, stack.ec2_training, stack.name, inputs.run_id, say)
    try:
        start_unit(account, instance_id, inputs, stack.ec2_training.log_group)
        say(f"Run {inputs.run_id} goes on there, also when this computer is switched off.")
        follower = Follower(s3, stack.bucket, inputs.run_id)
        follow(account, instance_id, inputs.run_id, follower, bill)
    finally:
        switch_off(account, stack.ec2_training, instance_id)
        say(f"{instance_id} is switched off; it ran for {bill.spent()}.")
    card = bring_run(s3, stack.bucket, inputs.run_id, options.build)
    remove_checkpoints(s3, stack.bucket, checkpoints_prefix(inputs))
    say(f"{options.build / 'model'}: {describe(card)}. `make package apply` deploys it.")


def _refuse_second_run(account: Account, stack: Stack) -> None:
    """Two runs on one machine would end each other: the first to finish switches it off.

    Raises:
        ContractError: a run is under way.
    """
    instance_id = stack.ec2_training.instance_id
    since = None if instance_id is None else running_since(account, instance_id)
    if since is None:
        return
    s3 = account.client("s3")
    statuses = [
        item
        for item in pages(s3, "list_objects_v2", "Contents", Bucket=stack.bucket, Prefix="runs/")
        if item["Key"].endswith("/status.json") and item["LastModified"] >= since
    ]
    for item in statuses:
        status = json.loads(s3.get_object(Bucket=stack.bucket, Key=item["Key"])["Body"].read())
        require(
            status["phase"] in ENDED,
            f"Run {status['run_id']} is under way on {instance_id}; wait until it ends, or stop "
            f"the instance: aws ec2 stop-instances --instance-ids {instance_id}",
        )


if __name__ == "__main__":
    raise SystemExit(main())
