"""What SageMaker's training toolkit makes of a job: files, environment and command line.

Written after the public `sagemaker-training` package; `/opt/ml` is `<host's root>/opt/ml` here,
which programs find in SAGEMAKER_BASE_DIR and in every SM_* variable.

A job with a ContainerEntrypoint does without the toolkit, and so without SM_* variables; the
drivers of the SageMaker SDK, for one, set them themselves.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from localaws.jobs.hosts import LOOPBACK, Host

OWN_PREFIX = "sagemaker_"
OWN_NAMES = {"_tuning_objective_metric"}
"""Hyperparameters that are meant for the toolkit and not for the script."""
TORCHRUN = "sagemaker_torch_distributed_enabled"
OTHER_LAUNCHERS = (
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_mpi_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
)
MASTER_PORT = 7777


def plain(text: str) -> Any:
    """A hyperparameter's value: JSON if it is, and its text otherwise."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def split(given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The script's hyperparameters and the toolkit's own."""
    values = {name: plain(text) for name, text in given.items()}
    own = {n: v for n, v in values.items() if n.startswith(OWN_PREFIX) or n in OWN_NAMES}
    return {n: v for n, v in values.items() if n not in own}, own


def arguments(values: Mapping[str, Any]) -> list[str]:
    """The script's hyperparameters as command line arguments."""
    words = []
    for name, value in values.items():
        words.append(f"--{name}" if len(name) > 1 else f"-{name}")
        if isinstance(value, Mapping):
            words.append(",".join(f"{key}={value[key]}" for key in sorted(value)))
        else:
            words.append(str(value))
    return words


def write_config(host: Host, params: Mapping[str, Any], names: Sequence[str]) -> None:
    """Make the folders of /opt/ml and the files in input/config."""
    for folder in ("code", "input/config", "input/data", "model", "output/data", "checkpoints"):
        (host.base / folder).mkdir(parents=True, exist_ok=True)
    config = {
        "hyperparameters.json": dict(params.get("HyperParameters", {})),
        "resourceconfig.json": _resources(host, params, names),
        "inputdataconfig.json": _channels(params),
    }
    for name, members in config.items():
        (host.base / "input" / "config" / name).write_text(json.dumps(members))


def environment(host: Host, params: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """The variables that the script finds, without credentials."""
    own_texts = params.get("Environment", {})
    if params.get("AlgorithmSpecification", {}).get("ContainerEntrypoint"):
        return {**own_texts, **_of_job(host, params)}
    base = host.base
    values, own = split(params.get("HyperParameters", {}))
    channels = _channels(params)
    program = str(own.get("sagemaker_program", ""))
    output = base / "output" / "data"
    if host.name != names[0]:
        output /= host.name
    output.mkdir(parents=True, exist_ok=True)
    resources = _resources(host, params, names)
    found: dict[str, Any] = {
        "SM_CHANNELS": sorted(channels),
        "SM_CURRENT_HOST": host.name,
        "SM_CURRENT_INSTANCE_GROUP": resources["current_group_name"],
        "SM_CURRENT_INSTANCE_TYPE": resources["current_instance_type"],
        "SM_FRAMEWORK_PARAMS": own,
        "SM_HOSTS": list(names),
        "SM_HPS": values,
        "SM_INPUT_CONFIG_DIR": base / "input" / "config",
        "SM_INPUT_DATA_CONFIG": channels,
        "SM_INPUT_DIR": base / "input",
        "SM_LOG_LEVEL": 20,
        "SM_MODEL_DIR": base / "model",
        "SM_MODULE_DIR": own.get("sagemaker_submit_directory", ""),
        "SM_MODULE_NAME": program.removesuffix(".py"),
        "SM_NETWORK_INTERFACE_NAME": resources["network_interface_name"],
        "SM_NUM_CPUS": os.cpu_count() or 1,
        "SM_NUM_GPUS": 0,
        "SM_NUM_NEURONS": 0,
        "SM_OUTPUT_DATA_DIR": output,
        "SM_OUTPUT_DIR": base / "output",
        "SM_OUTPUT_INTERMEDIATE_DIR": base / "output" / "intermediate",
        "SM_RESOURCE_CONFIG": resources,
        "SM_USER_ARGS": arguments(values),
        "SM_USER_ENTRY_POINT": program,
        **{f"SM_CHANNEL_{name.upper()}": base / "input" / "data" / name for name in channels},
        **{f"SM_HP_{name.upper()}": value for name, value in values.items()},
    }
    texts = {
        name: json.dumps(value) if isinstance(value, dict | list) else str(value)
        for name, value in found.items()
    }
    return {
        **own_texts,
        **texts,
        **_of_job(host, params),
        "CURRENT_HOST": host.name,
        "PYTHONPATH": str(base / "code"),
        "SAGEMAKER_JOB_NAME": params["TrainingJobName"],
    }


def command(host: Host, params: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """What runs on a host."""
    algorithm = params.get("AlgorithmSpecification", {})
    if algorithm.get("ContainerEntrypoint"):
        words = [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
        return [host.local(word) for word in words]
    values, own = split(params.get("HyperParameters", {}))
    program = str(own["sagemaker_program"])
    if own.get(TORCHRUN):
        return [*_torchrun(host, names), program, *arguments(values)]
    start = ["/bin/sh"] if program.endswith(".sh") else [sys.executable]
    return [*start, program, *arguments(values)]


def _torchrun(host: Host, names: Sequence[str]) -> list[str]:
    """As the toolkit starts it: one process for each host, for there are no GPUs."""
    words = ["torchrun", "--nnodes", str(len(names)), "--nproc_per_node", "1"]
    if len(names) > 1:
        rank = str(list(names).index(host.name))
        words += ["--master_addr", names[0], "--master_port", str(MASTER_PORT)]
        words += ["--node_rank", rank]
    return words


def _of_job(host: Host, params: Mapping[str, Any]) -> dict[str, str]:
    """What every container of a job finds, and what keeps it within this computer."""
    return {
        "GLOO_SOCKET_IFNAME": LOOPBACK,
        # pip says what is missing, and installs nothing into this computer's Python.
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INDEX": "1",
        "SAGEMAKER_BASE_DIR": str(host.base),
        "TRAINING_JOB_NAME": params["TrainingJobName"],
    }


def _resources(host: Host, params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    kind = params["ResourceConfig"].get("InstanceType", "")
    group = "homogeneousCluster"
    return {
        "current_group_name": group,
        "current_host": host.name,
        "current_instance_type": kind,
        "hosts": list(names),
        "instance_groups": [
            {"hosts": list(names), "instance_group_name": group, "instance_type": kind}
        ],
        "network_interface_name": LOOPBACK,
    }


def _channels(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        channel["ChannelName"]: {
            "RecordWrapperType": "None",
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "TrainingInputMode": "File",
        }
        for channel in params.get("InputDataConfig", [])
    }
