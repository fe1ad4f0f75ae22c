"""What AWS has and moto lacks: deep learning images, the parameters that name them, and a rule."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localaws.records import ACCOUNT_ID

LINES = ("2.5-ubuntu-22.04", "2.12-ubuntu-24.04")
"""PyTorch version and system of each line of images."""
ARCHITECTURES = ("x86_64", "arm64")
DEEP_LEARNING = "898082745236"
AMAZON_LINUX = "137112412989"
"""Accounts that publish images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A public image and the parameter that names it."""

    parameter: str
    name: str
    architecture: str
    owner_id: str
    root_device_name: str

    @property
    def id(self) -> str:
        """Id of the image, the same every time."""
        return f"ami-{hashlib.sha256(self.parameter.encode()).hexdigest()[:17]}"


def _deep_learning(line: str, architecture: str) -> Image:
    version, _, system = line.partition("-")
    words = system.replace("-", " ").title()
    arm = "ARM64 " if architecture == "arm64" else ""
    return Image(
        parameter=(
            f"/aws/service/deeplearning/ami/{architecture}/"
            f"oss-nvidia-driver-gpu-pytorch-{line}/latest/ami-id"
        ),
        name=f"Deep Learning {arm}OSS Nvidia Driver AMI GPU PyTorch {version} ({words})",
        architecture=architecture,
        owner_id=DEEP_LEARNING,
        root_device_name="/dev/sda1",
    )


def _amazon_linux(architecture: str) -> Image:
    return Image(
        parameter=(
            f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
        ),
        name=f"al2023-ami-2023-kernel-default-{architecture}",
        architecture=architecture,
        owner_id=AMAZON_LINUX,
        root_device_name="/dev/xvda",
    )


IMAGES = tuple(_deep_learning(line, a) for line in LINES for a in ARCHITECTURES)
AMAZON_LINUX_IMAGES = tuple(_amazon_linux(architecture) for architecture in ARCHITECTURES)
"""For the regions whose images moto does not know: GovCloud and China."""


def plant(service: str, region: str) -> None:
    """Add to what moto knows of a service, before its first call."""
    if service == "cloudwatch":
        _match_all_dimensions()
    if service == "ec2":
        _plant_images(region)
    if service == "ssm":
        _plant_parameters(region)


def _match_all_dimensions() -> None:
    """Let statistics be of the metric with just these dimensions; moto adds those with more."""
    from moto.cloudwatch.models import MetricDatumBase

    some: Any = MetricDatumBase.filter

    def all_of(self: Any, namespace: Any, name: Any, dimensions: Any, **listing: Any) -> bool:
        # A list of metrics says what it has found before, and a part of the dimensions is enough.
        statistics = namespace is None and name is None and not listing
        if statistics and len(dimensions) != len(self.dimensions):
            return False
        return bool(some(self, namespace, name, dimensions, **listing))

    setattr(MetricDatumBase, "filter", all_of)  # noqa: B010 - mypy refuses the assignment


def _plant_images(region: str) -> None:
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.amis import Ami

    backend: Any = ec2_backends[ACCOUNT_ID][region]
    for image in (*IMAGES, *AMAZON_LINUX_IMAGES):
        backend.amis[image.id] = Ami(
            backend,
            ami_id=image.id,
            architecture=image.architecture,
            description=image.name,
            hypervisor="xen",
            image_location=f"amazon/{image.name}",
            image_type="machine",
            name=image.name,
            owner_alias="amazon",
            owner_id=image.owner_id,
            public=True,
            root_device_name=image.root_device_name,
            root_device_type="ebs",
            sriov="simple",
            state="available",
            virtualization_type="hvm",
        )


def _plant_parameters(region: str) -> None:
    from moto.ssm.models import Parameter, ssm_backends

    parameters: Any = ssm_backends[ACCOUNT_ID][region]._parameters
    new: Any = Parameter
    for image in (*IMAGES, *AMAZON_LINUX_IMAGES):
        versions = parameters[image.parameter]
        if versions:
            continue  # moto knows what AWS publishes here
        versions.append(
            new(
                account_id=ACCOUNT_ID,
                name=image.parameter,
                value=image.id,
                parameter_type="String",
                description="",
                allowed_pattern=None,
                keyid=None,
                last_modified_date=datetime.now(tz=UTC),
                version=1,
                data_type="text",
            )
        )
