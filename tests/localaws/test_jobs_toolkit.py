"""What a training script is given, as the public training toolkit gives it."""

from pathlib import Path
from typing import Any

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
