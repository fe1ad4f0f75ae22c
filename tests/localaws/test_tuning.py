"""Tuning jobs that really search, through a started local AWS."""

import math
from typing import Any

import pytest
from tests.localaws.searches import Searches, open_searches, rate
from tests.localaws.studio import until

from localaws.jobs.tuning.ranges import space_of, values_at
from localaws.jobs.tuning.samplers import random_point

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def searches(local_aws: Any) -> Searches:
    return open_searches(local_aws, "searcher", "tuning")


def test_a_search_tells_its_best_job_and_its_counters(searches: Searches) -> None:
    integers = [{"Name": "units", "MinValue": "8", "MaxValue": "64", "ScalingType": "Auto"}]
    ranges = {**rate(), "IntegerParameterRanges": integers}
    tags = [{"Key": "run", "Value": "7"}]

    about = searches.run("first", ranges=ranges, jobs=3, Tags=tags)
    own = about["HyperParameterTuningJobArn"]
    searches.sagemaker.add_tags(ResourceArn=own, Tags=[{"Key": "more", "Value": "8"}])

    children = searches.children("first")
    losses = {
        one["TrainingJobName"]: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for one in children
    }
    best = about["BestTrainingJob"]
    child = searches.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
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
    assert child["TuningJobArn"] == own
    assert child["HyperParameters"]["units"] == best["TunedHyperParameters"]["units"]
    assert child["HyperParameters"]["_tuning_objective_metric"] == "loss"
    assert searches.sagemaker.list_tags(ResourceArn=child["TrainingJobArn"])["Tags"] == tags
    assert len(searches.sagemaker.list_tags(ResourceArn=own)["Tags"]) == 2
    ascending = searches.children(
        "first", SortBy="FinalObjectiveMetricValue", SortOrder="Ascending"
    )
    assert ascending[0]["TrainingJobName"] == best["TrainingJobName"]


def test_the_same_seed_tries_the_same_values(searches: Searches) -> None:
    for name in ("seeded-1", "seeded-2"):
        searches.start(name)

    values = []
    for name in ("seeded-1", "seeded-2"):
        searches.ended(name)
        values.append([one["TunedHyperParameters"] for one in searches.children(name)])

    assert values[0] == values[1]
    assert values[0][0] != values[0][1]


def test_no_values_are_tried_twice_while_others_are_left(searches: Searches) -> None:
    units = {"IntegerParameterRanges": [{"Name": "units", "MinValue": "1", "MaxValue": "4"}]}

    searches.run("distinct", ranges=units, jobs=4, parallel=4)

    tried = [one["TunedHyperParameters"]["units"] for one in searches.children("distinct")]
    assert sorted(tried) == ["1", "2", "3", "4"]


def test_a_grid_has_every_combination_once(searches: Searches) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "rate", "Values": ["0.5", "0.25"]},
            {"Name": "units", "Values": ["1", "2"]},
        ]
    }

    about = searches.run("grid", strategy="Grid", ranges=ranges, jobs=None, parallel=4)

    tried = [tuple(one["TunedHyperParameters"].values()) for one in searches.children("grid")]
    assert sorted(tried) == [("0.25", "1"), ("0.25", "2"), ("0.5", "1"), ("0.5", "2")]
    assert about["BestTrainingJob"]["TunedHyperParameters"]["rate"] == "0.25"


def test_single_failures_leave_the_search_alone(searches: Searches) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "what", "Values": ["fail", "train"]},
            {"Name": "rate", "Values": ["0.5"]},
        ]
    }

    about = searches.run("half", strategy="Grid", ranges=ranges, jobs=None)

    assert about["HyperParameterTuningJobStatus"] == "Completed"
    assert about["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert about["ObjectiveStatusCounters"] == {"Failed": 1, "Pending": 0, "Succeeded": 1}
    failed = searches.children("half", StatusEquals="Failed")[0]
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
    searches: Searches, what: str, definitions: str, reason: str
) -> None:
    request = searches.request(f"no-{what}", static={"what": what})
    algorithm = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    algorithm["MetricDefinitions"] = [{"Name": "loss", "Regex": definitions}]
    searches.sagemaker.create_hyper_parameter_tuning_job(**request)

    about = searches.ended(f"no-{what}")

    assert about["HyperParameterTuningJobStatus"] == "Failed"
    assert reason in about["FailureReason"]
    assert "BestTrainingJob" not in about


def test_a_stopped_search_stops_its_jobs_and_starts_no_more(searches: Searches) -> None:
    searches.start("halted", static={"what": "hang"}, jobs=9)
    until(lambda: len(searches.children("halted", StatusEquals="InProgress")) == 2)

    searches.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")

    about = searches.ended("halted")
    assert about["HyperParameterTuningJobStatus"] == "Stopped"
    assert about["TrainingJobStatusCounters"]["Stopped"] == 2
    with pytest.raises(searches.sagemaker.exceptions.ClientError, match="in status Stopped"):
        searches.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")


def test_a_target_ends_a_search(searches: Searches) -> None:
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 5.0}}

    about = searches.run("target", jobs=9, parallel=1, config=criteria)

    assert about["HyperParameterTuningJobStatus"] == "Completed"
    assert about["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_job_below_the_median_is_stopped_early(searches: Searches) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["1", "2", "3", "8"]}]}

    about = searches.run(
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
        for one in searches.children("early")
    }
    assert statuses == {"1": "Completed", "2": "Completed", "3": "Completed", "8": "Stopped"}
    assert about["ObjectiveStatusCounters"]["Succeeded"] == 4


def test_hyperband_stops_jobs_at_its_most_resource(searches: Searches) -> None:
    strategy = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 4}}

    about = searches.run(
        "band",
        strategy="Hyperband",
        static={"what": "endless"},
        config={"StrategyConfig": strategy},
    )

    assert about["HyperParameterTuningJobStatus"] == "Completed"
    assert about["TrainingJobStatusCounters"]["Stopped"] == 2


def test_a_warm_start_counts_what_its_parent_found(searches: Searches) -> None:
    searches.run("parent", ranges=rate(0.001, 0.002), jobs=5, parallel=5)
    parents = [{"HyperParameterTuningJobName": "parent"}]
    warm = {
        "ParentHyperParameterTuningJobs": parents,
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }

    about = searches.run(
        "heir", strategy="Bayesian", ranges=rate(0.001, 9.0), jobs=1, WarmStartConfig=warm
    )

    space = space_of(rate(0.001, 9.0))
    cold = values_at(space, random_point(space, "7/0", 1))
    assert about["BestTrainingJob"]["TunedHyperParameters"] != cold
    assert about["WarmStartConfig"] == warm
    assert about["OverallBestTrainingJob"]["TrainingJobName"].startswith("parent-")
    assert about["OverallBestTrainingJob"]["TuningJobName"] == "parent"
    assert about["BestTrainingJob"]["TrainingJobName"].startswith("heir-001-")
    with pytest.raises(searches.sagemaker.exceptions.ClientError, match="tunable plus static"):
        searches.start("changed", static={"what": "train"}, WarmStartConfig=warm)
