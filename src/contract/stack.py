"""build/stack.json: what exists after `make apply`, as the root module's output `stack` says."""

from dataclasses import dataclass
from pathlib import Path

from contract.strict import parse, read_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Ec2Training:
    """Where `make train-ec2` trains."""

    instance_id: str | None
    """The kept instance; null where each run launches its own."""
    instance_type: str
    launch_template_id: str
    log_group: str
    max_hours: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """The live endpoint."""

    name: str
    variant: str
    """The production variant's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """The live Lambda function."""

    alias: str
    """Callers invoke this alias."""
    api_url: str | None
    """Address of the HTTP API; callers sign with IAM. Null where the settings want none."""
    name: str
    url: str
    """Function URL; callers sign with IAM."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """One deployed stage."""

    account_id: str
    bucket: str
    ec2_training: Ec2Training
    endpoint: Endpoint | None
    """Null until there is a release, and while it is switched off."""
    function: Function | None
    """Null until there is a release."""
    model_version: str | None
    """What the endpoint's replies carry; null without an endpoint."""
    name: str
    notebook_name: str | None
    region: str
    serving_image: str | None
    """Full address of the image of the endpoint that the notebook makes; null without one."""
    stage: str
    training_image: str
    """Full address of the image that SageMaker training and tuning jobs run."""
    training_job_role_arn: str
    """The role that SageMaker training and tuning jobs run with."""


def read_stack(path: Path) -> Stack:
    """Read and check build/stack.json.

    Raises:
        ContractError: the file is missing or not what the root module's output says.
    """
    return parse(Stack, read_json(path, "`make apply`"), path.name)
