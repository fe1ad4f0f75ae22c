"""The settings of one stage: config/<stage>.tfvars.json, which Terraform reads as well.

Terraform drops misspelt keys of an object without a word, so this reader runs first and is
the strict one. The fields below are the root module's variables, key by key.
"""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from contract.serving import Endpoint, Function, Scaling
from contract.strict import parse, read_json, require


@dataclass(frozen=True, kw_only=True, slots=True)
class Ec2Training:
    """The EC2 instance that trains."""

    ami_id: str | None
    """A machine image to use as it is; null picks one that fits the instance type."""

    ami_line: str
    """Deep Learning AMI line for GPU types: PyTorch version and system, `2.12-ubuntu-24.04`."""

    at_end: Literal["stop", "terminate"]
    """stop keeps instance and volume after a run; terminate launches a new one for each run."""

    instance_type: str
    """For example t3.large."""

    max_hours: int
    """The instance switches itself off after so many hours, whatever happens."""

    spot: bool
    """Use spare capacity: cheaper, and it may be taken away; only with at_end terminate."""

    volume_gb: int
    """Size of the encrypted root volume, in GiB."""

    def __post_init__(self) -> None:
        require(1 <= self.max_hours <= 168, "max_hours must be 1 to 168.")
        require(30 <= self.volume_gb <= 16384, "volume_gb must be 30 to 16384.")
        require(
            self.at_end == "terminate" or not self.spot,
            "at_end must be 'terminate' when spot is true: spot capacity cannot be kept.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitoring:
    """Logs and alarms."""

    alarm_email: str | None
    """Who hears of alarms; null is nobody."""

    latency_seconds: float
    """A model that takes longer than this, on average over 5 minutes, rings."""

    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365]
    """How long logs are kept."""

    def __post_init__(self) -> None:
        require(self.latency_seconds > 0, "latency_seconds must be above 0.")


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
class Storage:
    """The artifact bucket."""

    expire_old_versions_days: int | None
    """Overwritten or deleted objects are gone for good after so many days; null keeps them."""

    expire_runs_days: int | None
    """What runs, jobs and data capture left is deleted after so many days; null keeps it."""

    force_destroy: bool
    """Whether `make destroy` may delete a bucket that still holds artifacts."""

    kms_key_arn: str | None
    """Encrypt with this KMS key of yours; null is S3's own keys."""

    def __post_init__(self) -> None:
        for name, days in (
            ("expire_old_versions_days", self.expire_old_versions_days),
            ("expire_runs_days", self.expire_runs_days),
        ):
            require(days is None or days >= 1, f"{name} must be null or at least 1.")
        require(
            self.kms_key_arn is None
            or re.fullmatch(
                r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+", self.kms_key_arn
            )
            is not None,
            "kms_key_arn must be null or the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingJob:
    """SageMaker training jobs, alone and in a search."""

    image: str
    """AWS's training image as `repository:tag`, or the full address of your own."""

    instance_count: int
    """Machines of one job; with more than one each takes a share of every batch."""

    instance_type: str
    """For example ml.m5.xlarge. Roles that start jobs may start this type only."""

    max_hours: int
    """A job is stopped after so many hours."""

    spot: bool
    """Use spare capacity: cheaper; an interrupted job goes on from its checkpoint."""

    volume_gb: int
    """Size of each machine's volume, in GiB."""

    def __post_init__(self) -> None:
        require(":" in self.image, "image must be repository:tag or a full image address.")
        require(self.instance_type.startswith("ml."), "instance_type must start with 'ml.'.")
        require(
            "/" in self.image or self.with_gpu is not ("-cpu" in self.image),
            f"image is {self.image} and instance_type {self.instance_type}: a type with a GPU "
            "takes an image for CUDA, any other an image with -cpu.",
        )
        require(1 <= self.instance_count <= 16, "instance_count must be 1 to 16.")
        require(1 <= self.max_hours <= 120, "max_hours must be 1 to 120.")
        require(1 <= self.volume_gb <= 16384, "volume_gb must be 1 to 16384.")

    @property
    def with_gpu(self) -> bool:
        """Whether its machines have GPUs."""
        return re.match(r"ml\.(g|gr|p)[0-9]", self.instance_type) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One stage, complete."""

    ec2_training: Ec2Training
    endpoint: Endpoint
    function: Function
    max_monthly_usd: float | None
    """An estimate above it stops `make apply`, and the AWS budget warns of it; null is no limit."""
    monitoring: Monitoring
    name: str
    """Prefix of every resource's name."""
    network: Network
    notebook: Notebook
    permissions_boundary_arn: str | None
    """Policy that limits what any role of the project can ever do; null is no limit."""
    region: str
    """For example us-east-1."""
    scaling: Scaling
    stage: Literal["local", "aws"]
    storage: Storage
    training_job: TrainingJob
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
        require(
            self.max_monthly_usd is None or self.max_monthly_usd > 0,
            "max_monthly_usd must be null or above 0.",
        )
        batch, pictures = self.function.batch, self.endpoint.pictures_prefix
        require(
            batch is None or (pictures is not None and batch.prefix.startswith(pictures)),
            "function.batch.prefix must lie below endpoint.pictures_prefix, where the endpoint may "
            "read.",
        )
        boundary = self.permissions_boundary_arn
        require(
            boundary is None
            or re.fullmatch(r"arn:[a-z-]+:iam::(\d{12}|aws):policy/.+", boundary) is not None,
            "permissions_boundary_arn must be null or a policy's ARN, like "
            "arn:aws:iam::123456789012:policy/kennel-boundary.",
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
