"""The settings of one stage: config/<stage>.tfvars.json, which Terraform reads as well.

Terraform drops misspelt keys of an object without a word, so this reader runs first and is
the strict one. The fields below are the root module's variables, key by key.
"""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from contract.strict import parse, read_json, require


@dataclass(frozen=True, kw_only=True, slots=True)
class Ec2Training:
    """The EC2 instance that trains."""

    ami_id: str | None
    """A machine image to use as it is; null picks one that fits the instance type."""

    ami_line: str
    """Deep Learning AMI line for GPU types: PyTorch version and system, `2.5-ubuntu-22.04`."""

    instance_type: str
    """For example t3.large."""

    max_hours: int
    """The instance switches itself off after so many hours, whatever happens."""

    spot: bool
    """Use spare capacity: cheaper, and it may be taken away."""

    volume_gb: int
    """Size of the encrypted root volume, in GiB."""

    def __post_init__(self) -> None:
        require(1 <= self.max_hours <= 168, "max_hours must be 1 to 168.")
        require(30 <= self.volume_gb <= 16384, "volume_gb must be 30 to 16384.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """The SageMaker endpoint that serves the model."""

    image: str
    """AWS's prebuilt image as `repository:tag`, or the full address of your own."""

    instance_type: str
    """For example ml.c7i.large."""

    pictures_prefix: str | None
    """Prefix in the bucket whose pictures a request may name; null isolates the container."""

    def __post_init__(self) -> None:
        require(":" in self.image, "image must be repository:tag or a full image address.")
        require(
            self.instance_type.startswith("ml."),
            "instance_type must start with 'ml.'.",
        )
        require(
            self.pictures_prefix is None
            or re.fullmatch(r"([A-Za-z0-9_.-]+/)+", self.pictures_prefix) is not None,
            "pictures_prefix must be null or end with a slash, like 'pictures/'.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """The Lambda function that callers talk to."""

    memory_mb: int
    """Memory, in MiB; CPU grows with it."""

    provisioned_concurrency: int
    """How many copies are kept warm, and paid for all the time; 0 is none."""

    reserved_concurrency: int
    """Most requests in flight at once. Further ones get HTTP 429."""

    timeout_seconds: int
    """When a request is given up."""

    def __post_init__(self) -> None:
        require(128 <= self.memory_mb <= 10240, "memory_mb must be 128 to 10240.")
        require(self.reserved_concurrency >= 1, "reserved_concurrency must be at least 1.")
        require(
            0 <= self.provisioned_concurrency <= self.reserved_concurrency,
            "provisioned_concurrency must be 0 to reserved_concurrency.",
        )
        require(5 <= self.timeout_seconds <= 900, "timeout_seconds must be 5 to 900.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitoring:
    """Logs and alarms."""

    alarm_email: str | None
    """Who hears of alarms; null is nobody."""

    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365]
    """How long logs are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """Where things that can live in a VPC live."""

    mode: Literal["none", "existing", "own"]
    """none: AWS's default; existing: vpc_id and subnet_ids; own: a new private VPC."""

    subnet_ids: tuple[str, ...]
    """Private subnets of the existing VPC."""

    vpc_id: str | None
    """The existing VPC."""

    def __post_init__(self) -> None:
        given = self.vpc_id is not None and len(self.subnet_ids) > 0
        absent = self.vpc_id is None and len(self.subnet_ids) == 0
        require(
            given if self.mode == "existing" else absent,
            "vpc_id and subnet_ids must be given when mode is 'existing', and only then.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Notebook:
    """The SageMaker notebook instance."""

    enabled: bool
    """Whether there is one. It costs by the hour while it runs."""

    idle_minutes: int
    """It stops itself after so many idle minutes."""

    instance_type: str
    """For example ml.t3.medium."""

    volume_gb: int
    """Size of its volume, in GiB."""

    def __post_init__(self) -> None:
        require(
            self.instance_type.startswith("ml."),
            "instance_type must start with 'ml.'.",
        )
        require(10 <= self.idle_minutes <= 1440, "idle_minutes must be 10 to 1440.")
        require(5 <= self.volume_gb <= 16384, "volume_gb must be 5 to 16384.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaling:
    """How far and how fast the endpoint follows its traffic."""

    invocations_per_instance_per_minute: float
    """The load that the autoscaler aims at."""

    max_instances: int
    """The ceiling of your bill."""

    min_instances: int
    """What runs at night."""

    scale_in_cooldown_seconds: int
    """Wait after removing instances before removing more."""

    scale_out_cooldown_seconds: int
    """Wait after adding instances before adding more."""

    def __post_init__(self) -> None:
        require(
            self.invocations_per_instance_per_minute > 0,
            "invocations_per_instance_per_minute must be above 0.",
        )
        require(self.min_instances >= 1, "min_instances must be at least 1.")
        require(
            self.min_instances <= self.max_instances,
            "min_instances must not exceed max_instances.",
        )
        require(
            self.scale_in_cooldown_seconds >= 0 and self.scale_out_cooldown_seconds >= 0,
            "cooldowns must not be negative.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """The artifact bucket."""

    expire_old_versions_days: int | None
    """Overwritten or deleted objects are gone for good after so many days; null keeps them."""

    force_destroy: bool
    """Whether `make destroy` may delete a bucket that still holds artifacts."""

    def __post_init__(self) -> None:
        days = self.expire_old_versions_days
        require(days is None or days >= 1, "expire_old_versions_days must be null or at least 1.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One stage, complete."""

    ec2_training: Ec2Training
    endpoint: Endpoint
    function: Function
    monitoring: Monitoring
    name: str
    """Prefix of every resource's name."""
    network: Network
    notebook: Notebook
    region: str
    """For example us-east-1."""
    scaling: Scaling
    stage: Literal["local", "aws"]
    storage: Storage
    tags: dict[str, str] = field(default_factory=dict)
    """Added to every resource."""

    def __post_init__(self) -> None:
        require(
            re.fullmatch(r"[a-z][a-z0-9-]{1,22}[a-z0-9]", self.name) is not None,
            f"name is {self.name!r}; it must be 3 to 24 lowercase letters, digits and hyphens.",
        )
        require(
            re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", self.region) is not None,
            f"region is {self.region!r}; it must look like us-east-1.",
        )


def settings_keys() -> set[str]:
    """The top-level keys of a settings file, which are the root module's variables."""
    return {field.name for field in dataclasses.fields(Settings)}


def read_settings(path: Path) -> Settings:
    """Read and check config/<stage>.tfvars.json.

    Raises:
        ContractError: the file is missing, misspelt or out of range.
    """
    return parse(Settings, read_json(path, "`git restore config`"), path.name)
