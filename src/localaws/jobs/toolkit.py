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
OWN_NAMES = {"_tuning_objective_metric", "default_user_module_name"}
"""Hyperparameters that are meant for the toolkit and not for the script."""
SETTINGS = OWN_NAMES | {
    "sagemaker_container_log_level",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_job_name",
    "sagemaker_program",
    "sagemaker_region",
    "sagemaker_s3_output",
    "sagemaker_submit_directory",
}
"""Of these, what the toolkit keeps to itself; it tells the script about the others."""
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
    for name, value in sorted(values.items()):
        words.append(f"--{name}" if len(name) > 1 else f"-{name}")
        if isinstance(value, Mapping):
            words.append(",".join(f"{key}={value[key]}" for key in sorted(value)))
        else:
            words.append("" if value is None else str(value))
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
    values, own = split(params.get("HyperParameters", {}))
    about = _about(host, params, names)
    channels = about["channel_input_dirs"]
    alone = ("distribution_hosts", "is_master", "is_modelparallel_enabled",
             "is_smddpmprun_installed", "is_smddprun_installed", "job_name", "master_hostname",
             "topology", "hyperparameters", "channel_input_dirs",
             "additional_framework_parameters")  # fmt: skip
    found = {
        **{name: value for name, value in about.items() if name not in alone},
        "channels": sorted(channels),
        "framework_params": {n: v for n, v in own.items() if n not in SETTINGS},
        "hps": values,
        "training_env": about,
        "user_args": arguments(values),
        **{f"channel_{name}": path for name, path in channels.items()},
        **{f"hp_{name}": value for name, value in values.items()},
    }
    texts = {f"SM_{name.upper()}": _text(value) for name, value in found.items()}
    return {
        **own_texts,
        **texts,
        **_of_job(host, params),
        "CURRENT_HOST": host.name,
        "PYTHONPATH": str(host.base / "code"),
        "SAGEMAKER_JOB_NAME": params["TrainingJobName"],
    }


def _about(host: Host, params: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What the toolkit knows of a host, as SM_TRAINING_ENV."""
    base = host.base
    values, own = split(params.get("HyperParameters", {}))
    resources, channels = _resources(host, params, names), _channels(params)
    groups = {group["instance_group_name"]: group for group in resources["instance_groups"]}
    launched = list(groups) if own.get(TORCHRUN) else []
    program = str(own.get("sagemaker_program", ""))
    return {
        "additional_framework_parameters": {n: v for n, v in own.items() if n not in SETTINGS},
        "channel_input_dirs": {n: str(base / "input" / "data" / n) for n in channels},
        "current_host": host.name,
        "current_instance_group": resources["current_group_name"],
        "current_instance_group_hosts": list(names),
        "current_instance_type": resources["current_instance_type"],
        "distribution_hosts": list(names) if launched else [],
        "distribution_instance_groups": launched,
        "framework_module": None,
        "hosts": list(names),
        "hyperparameters": values,
        "input_config_dir": str(base / "input" / "config"),
        "input_data_config": channels,
        "input_dir": str(base / "input"),
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": False,
        "is_master": host.name == names[0],
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": params["TrainingJobName"],
        "log_level": own.get("sagemaker_container_log_level", 20),
        "master_hostname": names[0],
        "model_dir": str(base / "model"),
        "module_dir": own.get("sagemaker_submit_directory", ""),
        "module_name": program.removesuffix(".py"),
        "network_interface_name": resources["network_interface_name"],
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": 0,
        "num_neurons": 0,
        "output_data_dir": str(base / "output" / "data"),
        "output_dir": str(base / "output"),
        "output_intermediate_dir": str(base / "output" / "intermediate"),
        "resource_config": resources,
        "topology": [],
        "user_entry_point": program,
    }


def _text(value: Any) -> str:
    """A variable's value: text as it is, and JSON of anything else."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


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
