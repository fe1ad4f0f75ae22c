import io
import tarfile
from pathlib import Path

import pytest
from tests.pipeline.models import write_model

from contract.strict import ContractError
from pipeline.aws import Account
from pipeline.results import adopt_model, adopt_output, bring_job, fresh


def test_a_downloaded_model_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write_model(tmp_path / "model", b"old")
    write_model(tmp_path / "model.new", b"new")

    adopt_model(tmp_path / "model.new", tmp_path)

    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_half_a_model_leaves_the_one_before(tmp_path: Path) -> None:
    write_model(tmp_path / "model", b"old")
    write_model(tmp_path / "model.new", b"new")
    (tmp_path / "model.new" / "weights.safetensors").unlink()

    with pytest.raises(ContractError, match="missing"):
        adopt_model(tmp_path / "model.new", tmp_path)

    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == b"old"


def test_the_output_of_another_run_takes_the_place_of_all_but_the_checkpoints(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "training" / "checkpoints" / "a"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    (tmp_path / "training" / "profile").mkdir()
    (tmp_path / "training" / "metrics.jsonl").write_text("old")
    output = fresh(tmp_path, "training")
    (output / "metrics.jsonl").write_text("new")

    adopt_output(output, tmp_path)

    found = {path.name for path in (tmp_path / "training").iterdir()}
    assert found == {"checkpoints", "metrics.jsonl"}
    assert (tmp_path / "training" / "metrics.jsonl").read_text() == "new"
    assert kept.read_text() == "mine"


@pytest.mark.slow
def test_a_job_brings_its_model_without_the_code_that_serves_it_and_its_metrics(
    tmp_path: Path, account: Account, bucket: str
) -> None:
    model = tmp_path / "made"
    write_model(model, b"new")
    (model / "code").mkdir()
    (model / "code" / "serve.py").write_text("")
    (tmp_path / "metrics.jsonl").write_text("{}")
    for name, folder in (("model", model), ("output", tmp_path)):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for item in folder.iterdir():
                tar.add(item, item.name, recursive=name == "model")
        key = f"jobs/j/output/{name}.tar.gz"
        account.client("s3").put_object(Bucket=bucket, Key=key, Body=archive.getvalue())
    uri = f"s3://{bucket}/jobs/j/output/model.tar.gz"

    bring_job(
        account.client("s3"), {"ModelArtifacts": {"S3ModelArtifacts": uri}}, tmp_path / "build"
    )

    assert (tmp_path / "build" / "training" / "metrics.jsonl").read_text() == "{}"
    assert not (tmp_path / "build" / "model" / "code").exists()
