"""Takes the spot instances of a training job away, as AWS does when others pay more."""

from pathlib import Path
from typing import Any

from localaws import control

FILE = "interrupt"
"""Its name in the folder of a running job; the job takes it away when it has seen it."""


def interrupt(folder: Path, address: control.Address, job: str) -> None:
    """Interrupt a training job; it starts again by itself.

    Args:
        folder: of the local AWS.
        address: of the same.
        job: name of the training job.

    Raises:
        ControlError: there is no such job, it is no spot job, or it does not train now.
    """
    about = _describe(address, job)
    if not about.get("EnableManagedSpotTraining"):
        raise control.ControlError(
            f"the training job {job} runs on instances that nobody takes away; only jobs with "
            "EnableManagedSpotTraining are interrupted."
        )
    if about["SecondaryStatus"] != "Training":
        raise control.ControlError(
            f"the training job {job} is {about['SecondaryStatus']}; it can be interrupted while "
            "it is Training."
        )
    (folder / "jobs" / job / FILE).touch()


def _describe(address: control.Address, job: str) -> dict[str, Any]:
    import boto3  # costs a third of a second, and no other verb of localaws needs it
    from botocore.exceptions import ClientError

    sagemaker = boto3.client(
        "sagemaker",
        aws_access_key_id=address.access_key_id,
        aws_secret_access_key=address.secret_access_key,
        endpoint_url=address.url,
        region_name=address.region,
    )
    try:
        found: dict[str, Any] = dict(sagemaker.describe_training_job(TrainingJobName=job))
    except ClientError:
        raise control.ControlError(
            f"there is no training job {job}; `aws sagemaker list-training-jobs` names them."
        ) from None
    return found
