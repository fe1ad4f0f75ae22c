"""The notebook, run as on its instance: its files from the bucket, its role's rights."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from tests.e2e.stage import Stage

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A notebook after its last cell."""

    told: str
    """All that its cells printed."""
    folder: Path
    """Where it ran, with the files that it was given."""
    jobs: list[str]
    """Names of the training jobs that it started, in a search or alone."""


def run_notebook(stage: Stage, folder: Path) -> Ran:
    """Copy the notebook as on_start.sh does, and execute it with the notebook's role."""
    stack, env = stage.stack, stage.env
    role = f"arn:aws:iam::{stack.account_id}:role/{stack.name}-notebook"
    before = _jobs(stage)
    keys = stage.client("sts").assume_role(RoleArn=role, RoleSessionName="notebook")["Credentials"]
    values = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    env = env | dict(zip(NAMES, values, strict=True)) | {"IPYTHONDIR": str(folder / "ipython")}
    env.pop("PYTHONPATH", None)
    sync = ["aws", "s3", "sync", "--only-show-errors", f"s3://{stack.bucket}/notebooks/", "."]
    subprocess.run(sync, cwd=folder, env=env, check=True)
    notebook: Any = nbformat.read(folder / "train_and_deploy.ipynb", as_version=4)  # type: ignore[no-untyped-call]  # nbformat's
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    was = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(env)
        client.execute()
    finally:
        os.environ.clear()
        os.environ.update(was)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    told = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
    return Ran(told=told, folder=folder, jobs=sorted(set(_jobs(stage)) - set(before)))


def _jobs(stage: Stage) -> list[str]:
    pages = stage.client("sagemaker").get_paginator("list_training_jobs").paginate()
    return [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
