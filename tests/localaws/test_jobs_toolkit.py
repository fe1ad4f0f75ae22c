"""What a training script is given, as the public training toolkit gives it."""

from pathlib import Path
from typing import Any

import pytest

from localaws.jobs import toolkit
from localaws.jobs.hosts import hosts
from localaws.jobs.torchrun import localised


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
        "train.py", "--epochs", "5", "-v", "True", "--name", "plain", "--map", "a=2,b=1",
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
    assert found["SM_HOSTS"] == '["algo-1", "algo-2"]'
    assert found["SM_MODEL_DIR"] == str(base / "model")
    assert found["SM_OUTPUT_DATA_DIR"] == str(base / "output" / "data" / "algo-2")
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
