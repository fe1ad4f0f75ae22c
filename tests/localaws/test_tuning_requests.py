"""Requests for tuning jobs that are refused, and how tuning jobs are listed and deleted."""

from typing import Any

import pytest
from tests.localaws.searches import Searches, open_searches, rate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def searches(local_aws: Any) -> Searches:
    return open_searches(local_aws, "requester", "tuning-requests")


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
        ({"static": {"sagemaker_mpi_enabled": "true"}}, "does not imitate sagemaker_mpi_enabled"),
        ({"parallel": 11}, "ResourceLimitExceeded.*is 10 Jobs"),
    ],
)
def test_a_request_that_cannot_work_is_refused(
    searches: Searches, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(searches.sagemaker.exceptions.ClientError, match=reason):
        searches.start("refused", **options)


def test_names_are_checked_and_taken_once(searches: Searches) -> None:
    with pytest.raises(
        searches.sagemaker.exceptions.ClientError,
        match="Value 'a_b' at 'hyperParameterTuningJobName' failed to satisfy constraint: Member "
        "must satisfy regular expression pattern",
    ):
        searches.start("a_b")
    searches.run("taken", jobs=1)
    with pytest.raises(searches.sagemaker.exceptions.ResourceInUse):
        searches.start("taken")
    found = searches.sagemaker.list_hyper_parameter_tuning_jobs(NameContains="taken")
    summary = found["HyperParameterTuningJobSummaries"][0]
    assert (summary["Strategy"], summary["HyperParameterTuningJobStatus"]) == (
        "Random",
        "Completed",
    )
    searches.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="taken")
    with pytest.raises(searches.sagemaker.exceptions.ResourceNotFound):
        searches.describe("taken")
