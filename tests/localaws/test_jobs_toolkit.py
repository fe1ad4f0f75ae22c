"""What a training script is given, as the public training toolkit gives it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from localaws.jobs import toolkit
from localaws.jobs.hosts import hosts
from localaws.jobs.torchrun import localised

TOOLKIT = Path(__file__).parents[2] / ".venv-toolkit"
"""The environment of AWS's own toolkit, as `make setup` makes it."""


def params(**more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "job",
        "HyperParameters": {
            "sagemaker_program": '"train.py"',
            "_tuning_objective_metric": "loss",
            "epochs": "5",
            "v": "true",
            "name": "plain",
            "map": '{"b": 1, "a": 2}',
        },
        "ResourceConfig": {"InstanceType": "ml.m5.large"},
        **more,
    }


def test_the_toolkit_keeps_its_own_hyperparameters(tmp_path: Path) -> None:
    host = hosts(tmp_path, 1)[0]

    words = toolkit.command(host, params(), ["algo-1"])

    assert words[1:] == [
        "train.py", "--epochs", "5", "--map", "a=2,b=1", "--name", "plain", "-v", "True",
    ]  # fmt: skip


def test_channels_and_hyperparameters_are_in_the_environment(tmp_path: Path) -> None:
    host = hosts(tmp_path, 2)[1]
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/x"}}
    channels = [{"ChannelName": "training", "DataSource": source}]

    found = toolkit.environment(
        host, params(InputDataConfig=channels, Environment={"SEED": "1"}), ["algo-1", "algo-2"]
    )

    base = tmp_path / "algo-2" / "opt" / "ml"
    assert found["SM_CHANNELS"] == '["training"]'
    assert found["SM_CHANNEL_TRAINING"] == str(base / "input" / "data" / "training")
    assert found["SM_HP_EPOCHS"] == "5"
    assert found["SM_HOSTS"] == '["algo-1","algo-2"]'
    assert found["SM_MODEL_DIR"] == str(base / "model")
    assert found["SM_OUTPUT_DATA_DIR"] == str(base / "output" / "data")
    assert found["SEED"] == "1"


def test_a_container_entry_point_finds_its_files_below_the_hosts_root(tmp_path: Path) -> None:
    host = hosts(tmp_path, 1)[0]
    algorithm = {"ContainerEntrypoint": ["/bin/sh"], "ContainerArguments": ["/opt/ml/input/run.sh"]}

    words = toolkit.command(host, params(AlgorithmSpecification=algorithm), ["algo-1"])

    assert words == ["/bin/sh", f"{tmp_path}/algo-1/opt/ml/input/run.sh"]


def test_a_host_joins_torchrun_as_the_toolkit_asks(tmp_path: Path) -> None:
    second = hosts(tmp_path, 2)[1]
    asked = params()
    asked["HyperParameters"]["sagemaker_torch_distributed_enabled"] = "true"

    words = toolkit.command(second, asked, ["algo-1", "algo-2"])

    assert words[:12] == [
        "torchrun", "--nnodes", "2", "--nproc_per_node", "1", "--master_addr", "algo-1",
        "--master_port", "7777", "--node_rank", "1", "train.py",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (
            "--nnodes 2 --nproc_per_node 1 --master_addr algo-1 --master_port 7777 --node_rank 1 "
            "train.py --nnodes 1",
            "--nnodes=2 --nproc_per_node 1 --master_addr=127.0.0.1 --master_port=15001 "
            "--node_rank=1 train.py --nnodes 1",
        ),
        (
            "--nnodes=2 --nproc-per-node=1 --master-addr=algo-1 --master-port=7777 -m train",
            "--nnodes=2 --nproc-per-node=1 --master_addr=127.0.0.1 --master_port=15001 -m train",
        ),
        (
            "--nnodes=1 --nproc_per_node=2 train.py",
            "--standalone --nnodes=1 --nproc_per_node=2 train.py",
        ),
        ("--standalone train.py --master_port 1", "--standalone train.py --master_port 1"),
    ],
)
def test_hosts_meet_on_this_computer(words: str, wanted: str) -> None:
    assert localised(words.split(), "15001") == wanted.split()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "cat /opt/ml/input/x >> /opt/ml/output/failure",
            "cat BASE/input/x >> BASE/output/failure",
        ),
        ('DIR = "/opt/ml"', 'DIR = "BASE"'),
        ("s3://bucket/opt/ml/x /opt/mlflow /home/opt/ml", None),
    ],
)
def test_texts_name_the_files_of_their_host(tmp_path: Path, text: str, wanted: str | None) -> None:
    host = hosts(tmp_path, 1)[0]

    assert host.local(text) == (wanted or text).replace("BASE", str(host.base))


_ASK = """
import json
from sagemaker_training.environment import Environment
environment = Environment()
print(json.dumps([environment.to_env_vars(), environment.to_cmd_args()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("launch", [{}, {"sagemaker_torch_distributed_enabled": "true"}])
def test_awss_toolkit_says_the_same(tmp_path: Path, launch: dict[str, str]) -> None:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/x"}}
    asked = params(InputDataConfig=[{"ChannelName": "training", "DataSource": source}])
    code = {"sagemaker_submit_directory": '"s3://b/code.tar.gz"', "sagemaker_region": '"r"'}
    asked["HyperParameters"] |= launch | code
    second, names = hosts(tmp_path, 2)[1], ["algo-1", "algo-2"]
    toolkit.write_config(second, asked, names)
    (second.base / "input" / "data" / "training").mkdir(parents=True)

    # It calls `which`, and must not find nvidia-smi: jobs of localaws have no GPUs.
    programs, which = tmp_path / "bin", shutil.which("which")
    assert which is not None
    programs.mkdir()
    (programs / "which").symlink_to(which)
    told = subprocess.run(
        [TOOLKIT / "bin" / "python", "-c", _ASK],
        env={
            "PATH": str(programs),
            "SAGEMAKER_BASE_DIR": str(second.base),
            "TRAINING_JOB_NAME": "job",
        },
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()[-1]

    variables, arguments = json.loads(told)
    ours = toolkit.environment(second, asked, names)
    assert {name: text for name, text in ours.items() if name.startswith("SM_")} == variables
    assert toolkit.command(second, asked, names)[-len(arguments) :] == arguments
