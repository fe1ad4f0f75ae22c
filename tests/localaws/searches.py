"""Searches of the local AWS, and what tests ask of them."""

from typing import Any

from tests.localaws.studio import open_studio, until

# A shell starts ten times faster than Python.
SCRIPT = """
rate=0; what=train
while [ $# -gt 0 ]; do
  case $1 in --rate) rate=$2;; --what) what=$2;; --units) echo "units $2";; esac
  shift
done
echo "loss=9.5"
case $what in
  fail) exit 3;;
  silent) exit 0;;
  hang) sleep 600;;
  epochs) echo "loss=$rate"; if [ $rate = 8 ]; then sleep 600; fi;;
  endless) for i in 2 3 4; do echo "loss=$rate"; done; sleep 600;;
  *) echo "loss=$rate";;
esac
"""


def rate(low: float = 0.001, high: float = 1.0, scale: str = "Logarithmic") -> dict[str, Any]:
    return {
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": str(low), "MaxValue": str(high), "ScalingType": scale}
        ]
    }


class Searches:
    """Starts searches and looks at them."""

    def __init__(self, aws: Any, role_arn: str, bucket: str) -> None:
        self.bucket = bucket
        self.role_arn = role_arn
        self.sagemaker = aws.client("sagemaker")

    def request(
        self,
        name: str,
        *,
        strategy: str = "Random",
        ranges: dict[str, Any] | None = None,
        jobs: int | None = 2,
        parallel: int = 2,
        static: dict[str, str] | None = None,
        config: dict[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        limits = {"MaxParallelTrainingJobs": parallel}
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ResourceLimits": limits | ({"MaxNumberOfTrainingJobs": jobs} if jobs else {}),
                "ParameterRanges": ranges or rate(),
                "RandomSeed": 7,
                **(config or {}),
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": {
                    "sagemaker_program": '"train.sh"',
                    "sagemaker_submit_directory": f'"s3://{self.bucket}/code.tar.gz"',
                    **(static or {}),
                },
                "AlgorithmSpecification": {
                    "TrainingImage": "pytorch",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.e-]+)"}],
                },
                "RoleArn": self.role_arn,
                "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
                "ResourceConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            },
            **more,
        }

    def start(self, name: str, **options: Any) -> None:
        self.sagemaker.create_hyper_parameter_tuning_job(**self.request(name, **options))

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return found

    def children(self, name: str, **options: Any) -> list[dict[str, Any]]:
        found = self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, **{"MaxResults": 100, **options}
        )
        summaries: list[dict[str, Any]] = found["TrainingJobSummaries"]
        return summaries

    def ended(self, name: str) -> dict[str, Any]:
        until(
            lambda: (
                self.describe(name)["HyperParameterTuningJobStatus"]
                in ("Completed", "Failed", "Stopped")
            )
        )
        return self.describe(name)

    def run(self, name: str, **options: Any) -> dict[str, Any]:
        self.start(name, **options)
        return self.ended(name)


def open_searches(aws: Any, role_name: str, bucket: str) -> Searches:
    """A role that searches run with, and a bucket with a script that logs its losses."""
    studio = open_studio(aws, role_name, bucket, {"train.sh": SCRIPT})
    return Searches(aws, studio.role_arn, bucket)
