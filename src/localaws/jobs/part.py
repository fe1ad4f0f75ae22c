"""SageMaker training jobs that really train, as AWS's training toolkit starts them.

Not imitated: the container's image (the script runs on this computer's Python), Pipe mode,
manifests, instance groups, warm pools, network isolation and VPCs, uncompressed output, launchers
other than torchrun, and the host names of several instances, which all are this computer. Each of
these is refused by name where ignoring it would change what a job does.
"""

import threading
from collections.abc import Mapping
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply
from localaws.jobs import constraints, toolkit
from localaws.jobs.listing import page
from localaws.jobs.record import ENDED, Job
from localaws.jobs.run import Run
from localaws.jobs.tuning.part import TuningJobs
from localaws.recorder import Recorder

_SORT_BY = {
    "CreationTime": "CreationTime",
    "Name": "TrainingJobName",
    "Status": "TrainingJobStatus",
}


class Jobs:
    """Takes jobs, runs them, and says how they went."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._recorder = Recorder(aws)
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._runs: dict[str, Run] = {}
        self._closed = False
        self._tuning = TuningJobs(aws, self.start, self.stop, self._check)
        self.handlers: Mapping[Operation, Handler] = {
            **self._tuning.handlers,
            ("sagemaker", "CreateTrainingJob"): self._create,
            ("sagemaker", "DeleteTrainingJob"): self._delete,
            ("sagemaker", "DescribeTrainingJob"): self._describe,
            ("sagemaker", "ListTrainingJobs"): self._list,
            ("sagemaker", "StopTrainingJob"): self._stop,
        }
        self.observers: Mapping[Operation, Observer] = {}

    def close(self) -> None:
        """End every job."""
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        self._tuning.end()
        for run in runs:
            run.close()
        self._tuning.close()
        self._recorder.close()

    def start(self, params: Mapping[str, Any], tuning_job_arn: str | None = None) -> Job:
        """Start a job; tuning jobs start theirs here too.

        Raises:
            AwsError: the job cannot be run, or its name is taken.
        """
        self._check(params)
        name = params["TrainingJobName"]
        arn = f"arn:aws:sagemaker:{self._aws.region}:{self._aws.account_id}:training-job/{name}"
        job = Job(arn=arn, params=params, tuning_job_arn=tuning_job_arn)
        with self._lock:
            if self._closed:
                raise AwsError("InternalFailure", "The local AWS is going down.", 500)
            if name in self._jobs:
                raise AwsError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a "
                    f"training job with this name already exists ({arn})",
                )
            self._remember(params)
            run = Run(self._aws, self._recorder, job)
            self._jobs[name], self._runs[name] = job, run
        run.start()
        return job

    def stop(self, job: Job) -> None:
        """Stop a job, unless it has ended."""
        job.stop()

    def _create(self, call: Call) -> Reply:
        constraints.check(call)
        job = self.start(call.params)
        return wire.result(call, {"TrainingJobArn": job.arn})

    def _describe(self, call: Call) -> Reply:
        return wire.result(call, self._find(call).description())

    def _stop(self, call: Call) -> Reply:
        job = self._find(call)
        if job.status in ENDED:
            raise AwsError(
                "ValidationException",
                f"The request was rejected because the training job is in status {job.status}.",
            )
        self.stop(job)
        return wire.result(call, {})

    def _delete(self, call: Call) -> Reply:
        job = self._find(call)
        if job.status not in ENDED:
            raise AwsError("ResourceInUse", f"The training job {job.name} is {job.status}.")
        with self._lock:
            self._jobs.pop(job.name, None)
            self._runs.pop(job.name, None)
        return wire.result(call, {})

    def _list(self, call: Call) -> Reply:
        with self._lock:
            found = [job.summary() for job in self._jobs.values()]
        members = page(call.params, found, "TrainingJobName", "TrainingJobStatus", _SORT_BY)
        summaries = members.pop("Summaries")
        return wire.result(call, {"TrainingJobSummaries": summaries, **members})

    def _find(self, call: Call) -> Job:
        with self._lock:
            job = self._jobs.get(call.params["TrainingJobName"])
        if job is None:
            raise AwsError("ValidationException", "Requested resource not found.")
        return job

    def _remember(self, params: Mapping[str, Any]) -> None:
        """Let moto keep the job too: its record is the one that is asked for tags."""
        sagemaker = self._aws.records_client("sagemaker")
        sagemaker.create_training_job(**{"Tags": [], **params})

    def _check(self, params: Mapping[str, Any]) -> None:
        _check(params)
        role_arn = params["RoleArn"]
        iam = self._aws.records_client("iam")
        try:
            iam.get_role(RoleName=role_arn.rsplit("/", 1)[-1])
        except iam.exceptions.NoSuchEntityException:
            raise AwsError(
                "ValidationException",
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows "
                "principal 'sagemaker.amazonaws.com' to assume the role.",
            ) from None


def _check(params: Mapping[str, Any]) -> None:
    """Refuse what cannot be run."""
    for member in ("AlgorithmSpecification", "OutputDataConfig", "ResourceConfig", "RoleArn",
                   "StoppingCondition"):  # fmt: skip
        _require(member in params, f"{member} is required.")
    _, own = toolkit.split(params.get("HyperParameters", {}))
    has_script = {"sagemaker_program", "sagemaker_submit_directory"} <= own.keys()
    _require(
        has_script or "ContainerEntrypoint" in params["AlgorithmSpecification"],
        "localaws runs scripts: give the hyperparameters sagemaker_program and "
        "sagemaker_submit_directory, or a ContainerEntrypoint.",
    )
    for launcher in toolkit.OTHER_LAUNCHERS:
        _require(
            not own.get(launcher),
            f"localaws does not imitate {launcher}; {toolkit.TORCHRUN} starts torchrun.",
        )
    _require(
        not own.get(toolkit.TORCHRUN) or str(own.get("sagemaker_program")).endswith(".py"),
        "Unsupported entry point type for torch_distributed: sagemaker_program must be a Python "
        "script.",
    )
    _require("InstanceGroups" not in params["ResourceConfig"],
             "localaws does not imitate InstanceGroups.")  # fmt: skip
    _require(params["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP",
             "localaws does not imitate uncompressed output.")  # fmt: skip
    limits = params["StoppingCondition"]
    if params.get("EnableManagedSpotTraining"):
        _require(
            limits.get("MaxWaitTimeInSeconds", 0) >= limits.get("MaxRuntimeInSeconds", 86_400),
            "Spot training needs MaxWaitTimeInSeconds, at least MaxRuntimeInSeconds.",
        )
    path = params.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
    _require(path.startswith("/opt/ml/"), "CheckpointConfig.LocalPath must lie below /opt/ml.")
    names = [channel["ChannelName"] for channel in params.get("InputDataConfig", [])]
    _require(len(names) == len(set(names)), "InputDataConfig names a channel twice.")
    for channel in params.get("InputDataConfig", []):
        source = channel["DataSource"].get("S3DataSource", {})
        _require(
            source.get("S3DataType") == "S3Prefix"
            and channel.get("CompressionType", "None") == "None"
            and channel.get("InputMode", "File") in ("File", "FastFile"),
            f"localaws downloads channels of the type S3Prefix; {channel['ChannelName']} asks for "
            "another.",
        )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AwsError("ValidationException", message)
