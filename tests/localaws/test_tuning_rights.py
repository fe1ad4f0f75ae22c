"""What a caller must be allowed for a tuning job."""

from typing import Any

import pytest
from tests.localaws.searches import Searches, open_searches
from tests.localaws.test_iam import ACCOUNT, Account, _allow, _denied

pytestmark = pytest.mark.slow
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:hyper-parameter-tuning-job"


@pytest.fixture(scope="module")
def searches(local_aws: Any) -> Searches:
    return open_searches(local_aws, "rights-searcher", "tuning-rights")


def test_a_tuning_job_needs_its_own_name_its_instances_and_its_role(
    local_aws: Any, searches: Searches
) -> None:
    account = Account(local_aws, "tuner")
    small = {
        "ForAllValues:StringEquals": {"sagemaker:InstanceTypes": ["ml.m5.large"]},
        "NumericLessThanEquals": {"sagemaker:MaxRuntimeInSeconds": "600"},
    }
    create = _allow("sagemaker:CreateHyperParameterTuningJob", f"{ARN}/mine-*", Condition=small)
    service = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    passing = _allow("iam:PassRole", searches.role_arn, Condition=service)
    can = account.acting("sagemaker", account.role(create, passing))
    cannot_pass = account.acting("sagemaker", account.role(create))
    larger = searches.request("mine-2")
    larger["TrainingJobDefinition"]["ResourceConfig"]["InstanceType"] = "ml.m5.xlarge"
    longer = searches.request("mine-3")
    longer["TrainingJobDefinition"]["StoppingCondition"]["MaxRuntimeInSeconds"] = 601

    for client, request, action in (
        (can, searches.request("other"), "sagemaker:CreateHyperParameterTuningJob"),
        (can, larger, "sagemaker:CreateHyperParameterTuningJob"),
        (can, longer, "sagemaker:CreateHyperParameterTuningJob"),
        (can, searches.request("mine-4", Tags=[{"Key": "a", "Value": "b"}]), "sagemaker:AddTags"),
        (cannot_pass, searches.request("mine-5"), "iam:PassRole"),
    ):
        with pytest.raises(can.exceptions.ClientError) as caught:
            client.create_hyper_parameter_tuning_job(**request)
        assert action in _denied(caught)
    can.create_hyper_parameter_tuning_job(**searches.request("mine-1", jobs=1))

    # SageMaker makes the training jobs; the caller needs no right for them.
    assert searches.ended("mine-1")["TrainingJobStatusCounters"]["Completed"] == 1


def test_the_jobs_of_a_tuning_job_are_listed_by_its_name(
    local_aws: Any, searches: Searches
) -> None:
    account = Account(local_aws, "lister")
    listing = _allow("sagemaker:ListTrainingJobsForHyperParameterTuningJob", f"{ARN}/mine-*")
    client = account.acting("sagemaker", account.role(listing))
    searches.run("mine-listed", jobs=1)

    found = client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="mine-listed"
    )
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="other"
        )

    assert len(found["TrainingJobSummaries"]) == 1
    assert "sagemaker:ListTrainingJobsForHyperParameterTuningJob" in _denied(caught)
