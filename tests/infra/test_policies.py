"""What the roles may do, read from the plan."""

import json
from typing import Any

import pytest
from tests.infra import expectations, stages
from tests.infra.conftest import Folder

pytestmark = pytest.mark.slow
ACCOUNT = "us-east-1:123456789012"

# Calls that AWS does not scope to a resource; each has its reason beside it in infra/.
UNSCOPED = {
    "cloudwatch:PutMetricData",
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
    "ecr:GetAuthorizationToken",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}


@pytest.fixture(scope="module")
def resources(root: Folder) -> dict[str, dict[str, Any]]:
    plan = root.plan(stages.variables({"settings": "local", "released": True}))
    return expectations.all_resources(plan)


@pytest.fixture(scope="module")
def policies(resources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        values["role"]: json.loads(values["policy"])
        for address, values in resources.items()
        if ".aws_iam_role_policy." in address
    }


def test_the_function_may_ask_one_endpoint_and_write_its_log_and_nothing_else(
    policies: dict[str, Any],
) -> None:
    assert policies["kennel-function"]["Statement"] == [
        {
            "Sid": "AskTheEndpoint",
            "Effect": "Allow",
            "Action": "sagemaker:InvokeEndpoint",
            "Resource": f"arn:aws:sagemaker:{ACCOUNT}:endpoint/kennel",
        },
        {
            "Sid": "WriteOwnLog",
            "Effect": "Allow",
            "Action": ["logs:PutLogEvents", "logs:CreateLogStream"],
            "Resource": f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/kennel:log-stream:*",
        },
    ]


def test_every_role_has_one_policy_that_a_plan_shows_whole(policies: dict[str, Any]) -> None:
    assert sorted(policies) == [
        "kennel-endpoint",
        "kennel-function",
        "kennel-notebook",
        "kennel-training",
        "kennel-training-job",
    ]


def test_no_role_is_given_an_action_by_wildcard(policies: dict[str, Any]) -> None:
    assert [action for action in _actions(policies) if "*" in action] == []


def test_only_what_aws_does_not_scope_is_allowed_everywhere(policies: dict[str, Any]) -> None:
    everywhere = {
        action
        for statement in _statements(policies)
        if "*" in _listed(statement["Resource"])
        for action in _listed(statement["Action"])
    }

    assert everywhere == UNSCOPED


def test_metrics_are_written_to_own_namespaces_only(policies: dict[str, Any]) -> None:
    conditions = [
        statement["Condition"]["StringEquals"]["cloudwatch:namespace"]
        for statement in _statements(policies)
        if statement["Action"] == "cloudwatch:PutMetricData"
    ]

    assert sorted(conditions) == ["/aws/sagemaker/Endpoints", "/aws/sagemaker/TrainingJobs"]


def test_the_notebook_may_pass_one_role_and_only_to_sagemaker(policies: dict[str, Any]) -> None:
    passing = [s for s in _statements(policies) if "iam:PassRole" in _listed(s["Action"])]

    assert passing == [
        {
            "Sid": "PassTrainingRole",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": "arn:aws:iam::123456789012:role/kennel-training-job",
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        }
    ]


def test_services_take_roles_only_for_this_account(resources: dict[str, dict[str, Any]]) -> None:
    conditions = {
        values["name"]: json.loads(values["assume_role_policy"])["Statement"][0].get("Condition")
        for address, values in resources.items()
        if address.endswith(".aws_iam_role.this")
    }
    account = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    sagemaker = {**account, "ArnLike": {"aws:SourceArn": f"arn:aws:sagemaker:{ACCOUNT}:*"}}

    assert conditions == {
        "kennel-endpoint": sagemaker,
        "kennel-function": account,
        "kennel-notebook": sagemaker,
        "kennel-training": None,  # EC2 does not say on whose behalf
        "kennel-training-job": sagemaker,
    }


def test_no_managed_policy_is_attached(resources: dict[str, dict[str, Any]]) -> None:
    attachments = [address for address in resources if "policy_attachment" in address]
    managed = [v for v in resources.values() if v.get("managed_policy_arns")]

    assert (attachments, managed) == ([], [])


def test_the_bucket_refuses_requests_without_tls(resources: dict[str, dict[str, Any]]) -> None:
    policy = json.loads(resources["module.storage.aws_s3_bucket_policy.this"]["policy"])

    assert policy["Statement"] == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [
                "arn:aws:s3:::kennel-123456789012-us-east-1/*",
                "arn:aws:s3:::kennel-123456789012-us-east-1",
            ],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_nobody_is_let_in_and_no_machine_has_a_key_pair(
    resources: dict[str, dict[str, Any]],
) -> None:
    kinds = ("ingress_rule", "aws_security_group_rule", "aws_key_pair")
    doors = [address for address in resources if any(kind in address for kind in kinds)]
    doors += [address for address, values in resources.items() if values.get("ingress")]
    keys = [values["key_name"] for values in resources.values() if values.get("key_name")]

    assert (doors, keys) == ([], [])


def _statements(policies: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for policy in policies.values() for statement in policy["Statement"]]


def _actions(policies: dict[str, Any]) -> list[str]:
    return [a for statement in _statements(policies) for a in _listed(statement["Action"])]


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
