"""Tuning jobs that really search, through a started local AWS."""

import math
from typing import Any

import pytest
from tests.localaws.studio import open_studio, until

pytestmark = pytest.mark.slow

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


@pytest.fixture(scope="module")
def studio(local_aws: Any) -> Searches:
    studio = open_studio(local_aws, "searcher", "tuning", {"train.sh": SCRIPT})
    return Searches(local_aws, studio.role_arn, "tuning")


def test_a_search_tells_its_best_job_and_its_counters(studio: Searches) -> None:
    integers = [{"Name": "units", "MinValue": "8", "MaxValue": "64", "ScalingType": "Auto"}]
    ranges = {**rate(), "IntegerParameterRanges": integers}
    tags = [{"Key": "run", "Value": "7"}]

    about = studio.run("first", ranges=ranges, jobs=3, Tags=tags)

    children = studio.children("first")
    losses = {
        one["TrainingJobName"]: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for one in children
    }
    best = about["BestTrainingJob"]
    child = studio.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert about["HyperParameterTuningJobStatus"] == "Completed"
    assert about["TrainingJobStatusCounters"] == {
        "Completed": 3, "InProgress": 0, "NonRetryableError": 0, "RetryableError": 0, "Stopped": 0,
    }  # fmt: skip
    assert about["ObjectiveStatusCounters"] == {"Failed": 0, "Pending": 0, "Succeeded": 3}
    assert losses[best["TrainingJobName"]] == min(losses.values())
    assert [name[:10] for name in losses] == ["first-003-", "first-002-", "first-001-"]
    assert math.isclose(
        float(best["TunedHyperParameters"]["rate"]), min(losses.values()), rel_tol=1e-5
    )
    assert child["TuningJobArn"] == about["HyperParameterTuningJobArn"]
    assert child["HyperParameters"]["units"] == best["TunedHyperParameters"]["units"]
    assert child["HyperParameters"]["_tuning_objective_metric"] == "loss"
    for arn in (child["TrainingJobArn"], about["HyperParameterTuningJobArn"]):
        assert studio.sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags
    ascending = studio.children("first", SortBy="FinalObjectiveMetricValue", SortOrder="Ascending")
    assert ascending[0]["TrainingJobName"] == best["TrainingJobName"]


def test_the_same_seed_tries_the_same_values(studio: Searches) -> None:
    for name in ("seeded-1", "seeded-2"):
        studio.start(name)

    values = []
    for name in ("seeded-1", "seeded-2"):
        studio.ended(name)
        values.append([one["TunedHyperParameters"] for one in studio.children(name)])

    assert values[0] == values[1]
    assert values[0][0] != values[0][1]


def test_a_grid_has_every_combination_once(studio: Searches) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "rate", "Values": ["0.5", "0.25"]},
            {"Name": "units", "Values": ["1", "2"]},
        ]
    }

    about = studio.run("grid", strategy="Grid", ranges=ranges, jobs=None, parallel=4)

    tried = [tuple(one["TunedHyperParameters"].values()) for one in studio.children("grid")]
    assert sorted(tried) == [("0.25", "1"), ("0.25", "2"), ("0.5", "1"), ("0.5", "2")]
    assert about["BestTrainingJob"]["TunedHyperParameters"]["rate"] == "0.25"


def test_single_failures_leave_the_search_alone(studio: Searches) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "what", "Values": ["fail", "train"]},
            {"Name": "rate", "Values": ["0.5"]},
        ]
    }

    about = studio.run("half", strategy="Grid", ranges=ranges, jobs=None)

    assert about["HyperParameterTuningJobStatus"] == "Completed"
    assert about["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert about["ObjectiveStatusCounters"] == {"Failed": 1, "Pending": 0, "Succeeded": 1}
    failed = studio.children("half", StatusEquals="Failed")[0]
    assert "exit code: 3" in failed["FailureReason"]
    assert "FinalHyperParameterTuningJobObjectiveMetric" not in failed


@pytest.mark.parametrize(
    ("what", "definitions", "reason"),
    [
        ("fail", "loss=([0-9.]+)", "All training jobs failed."),
        ("silent", "nothing=([0-9.]+)", "No objective metrics found after running 2 training"),
    ],
)
def test_a_search_without_a_result_fails(
    studio: Searches, what: str, definitions: str, reason: str
) -> None:
    request = studio.request(f"no-{what}", static={"what": what})
    algorithm = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    algorithm["MetricDefinitions"] = [{"Name": "loss", "Regex": definitions}]
    studio.sagemaker.create_hyper_parameter_tuning_job(**request)

    about = studio.ended(f"no-{what}")

    assert about["HyperParameterTuningJobStatus"] == "Failed"
    assert reason in about["FailureReason"]
    assert "BestTrainingJob" not in about


def test_a_stopped_search_stops_its_jobs_and_starts_no_more(studio: Searches) -> None:
    studio.start("halted", static={"what": "hang"}, jobs=9)
    until(lambda: len(studio.children("halted", StatusEquals="InProgress")) == 2)

    studio.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")

    about = studio.ended("halted")
    assert about["HyperParameterTuningJobStatus"] == "Stopped"
    assert about["TrainingJobStatusCounters"]["Stopped"] == 2
    with pytest.raises(studio.sagemaker.exceptions.ClientError, match="in status Stopped"):
        studio.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")


def test_a_target_ends_a_search(studio: Searches) -> None:
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 5.0}}

    about = studio.run("target", jobs=9, parallel=1, config=criteria)

    assert about["HyperParameterTuningJobStatus"] == "Completed"
    assert about["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_job_below_the_median_is_stopped_early(studio: Searches) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["1", "2", "3", "8"]}]}

    about = studio.run(
        "early",
        strategy="Grid",
        ranges=ranges,
        jobs=None,
        parallel=1,
        static={"what": "epochs"},
        config={"TrainingJobEarlyStoppingType": "Auto"},
    )

    assert about["HyperParameterTuningJobStatus"] == "Completed", about["FailureReason"]
    statuses = {
        one["TunedHyperParameters"]["rate"]: one["TrainingJobStatus"]
        for one in studio.children("early")
    }
    assert statuses == {"1": "Completed", "2": "Completed", "3": "Completed", "8": "Stopped"}
    assert about["ObjectiveStatusCounters"]["Succeeded"] == 4


def test_hyperband_stops_jobs_at_its_most_resource(studio: Searches) -> None:
    strategy = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 4}}

    about = studio.run(
        "band",
        strategy="Hyperband",
        static={"what": "endless"},
        config={"StrategyConfig": strategy},
    )

    assert about["HyperParameterTuningJobStatus"] == "Completed"
    assert about["TrainingJobStatusCounters"]["Stopped"] == 2


def test_a_warm_start_counts_what_its_parent_found(studio: Searches) -> None:
    studio.run("parent", ranges=rate(0.001, 0.002))
    parents = [{"HyperParameterTuningJobName": "parent"}]
    warm = {
        "ParentHyperParameterTuningJobs": parents,
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }

    about = studio.run(
        "heir", strategy="Bayesian", ranges=rate(0.001, 9.0), jobs=1, WarmStartConfig=warm
    )

    assert about["WarmStartConfig"] == warm
    assert about["OverallBestTrainingJob"]["TrainingJobName"].startswith("parent-")
    assert about["OverallBestTrainingJob"]["TuningJobName"] == "parent"
    assert about["BestTrainingJob"]["TrainingJobName"].startswith("heir-001-")
    with pytest.raises(studio.sagemaker.exceptions.ClientError, match="tunable plus static"):
        studio.start("changed", static={"what": "train"}, WarmStartConfig=warm)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ranges": rate(2.0, 1.0)}, "MinValue of the hyperparameter rate is 2.0"),
        ({"ranges": rate(0.0, 1.0)}, "must be greater than 0"),
        ({"ranges": rate(0.5, 1.0, "ReverseLogarithmic")}, "0 <= x < 1"),
        ({"ranges": rate(scale="Log")}, "Member must satisfy enum value set"),
        ({"static": {"rate": "1"}}, "rate is both tunable and static"),
        ({"strategy": "Grid"}, "categorical hyperparameters only"),
        ({"jobs": None}, "MaxNumberOfTrainingJobs is required"),
        ({"strategy": "Hyperband"}, "MaxResource is required"),
        (
            {"ranges": {"CategoricalParameterRanges": [{"Name": "a", "Values": ["x"]}]}},
            r"provided ranges \[1.0\] must be equal or greater than .* \[2\]",
        ),
        (
            {
                "config": {
                    "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "f1"}
                }
            },
            "A metric is required for this hyperparameter tuning job objective",
        ),
        ({"parallel": 11}, "ResourceLimitExceeded.*is 10 Jobs"),
    ],
)
def test_a_request_that_cannot_work_is_refused(
    studio: Searches, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(studio.sagemaker.exceptions.ClientError, match=reason):
        studio.start("refused", **options)


def test_names_are_checked_and_taken_once(studio: Searches) -> None:
    with pytest.raises(
        studio.sagemaker.exceptions.ClientError,
        match="Value 'a_b' at 'hyperParameterTuningJobName' failed to satisfy constraint: Member "
        "must satisfy regular expression pattern",
    ):
        studio.start("a_b")
    studio.run("taken", jobs=1)
    with pytest.raises(studio.sagemaker.exceptions.ResourceInUse):
        studio.start("taken")
    found = studio.sagemaker.list_hyper_parameter_tuning_jobs(NameContains="taken")
    summary = found["HyperParameterTuningJobSummaries"][0]
    assert (summary["Strategy"], summary["HyperParameterTuningJobStatus"]) == (
        "Random",
        "Completed",
    )
    studio.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="taken")
    with pytest.raises(studio.sagemaker.exceptions.ResourceNotFound):
        studio.describe("taken")
