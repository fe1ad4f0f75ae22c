"""What the deployer may do, asked of its policies without any AWS."""

import json
from typing import Any

import pytest

from localaws.iam.evaluator import Policies, Question, refusal
from pipeline.boundary import boundary_policy
from pipeline.deployer import deployer_policies, trust
from pipeline.rights import Document, Project

ACCOUNT = "123456789012"
PROJECT = Project(name="kennel", account_id=ACCOUNT, region="us-east-1", own_vpc=True)
LONGEST = Project(
    name="k" * 24,
    account_id=ACCOUNT,
    region="ap-southeast-3",
    partition="aws-us-gov",
    boundary_arn=f"arn:aws-us-gov:iam::{ACCOUNT}:policy/{'b' * 128}",
    kms_key_arn=f"arn:aws-us-gov:kms:ap-southeast-3:{ACCOUNT}:key/{'0' * 36}",
    own_repositories=("r" * 100, "s" * 100),
    own_vpc=True,
    http_api=True,
)
MAX_CHARACTERS = 6144
ROLE = f"arn:aws:iam::{ACCOUNT}:role/kennel"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/kennel"
BOUNDED = {"iam:permissionsboundary": [PROJECT.boundary]}
OTHERS = {"aws:resourcetag/project": ["other"]}
UNTAGGED = {"ec2:createaction": ["RunInstances"]}


def may(action: str, resource: str, context: dict[str, list[str]]) -> bool:
    question = Question(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/kennel-deployer/me",
        account_id=ACCOUNT,
        action=action,
        resource=resource,
        context=context,
    )
    return refusal(question, Policies(identity=list(deployer_policies(PROJECT).values()))) is None


def every_policy(project: Project) -> dict[str, Document]:
    return {**deployer_policies(project), "boundary": boundary_policy(project)}


@pytest.mark.parametrize("name", sorted(every_policy(LONGEST)))
def test_a_policy_fits_into_what_aws_takes(name: str) -> None:
    text = json.dumps(every_policy(LONGEST)[name], separators=(",", ":"))

    assert len(text) <= MAX_CHARACTERS


def test_the_policies_fit_on_one_role() -> None:
    assert len(deployer_policies(LONGEST)) <= 10


@pytest.mark.parametrize("name", sorted(every_policy(LONGEST)))
def test_no_statement_has_a_wildcard_action_or_a_twin(name: str) -> None:
    found: list[dict[str, Any]] = every_policy(LONGEST)[name]["Statement"]

    assert [a for one in found for a in one["Action"] if "*" in a] == []
    assert len({one["Sid"] for one in found}) == len(found)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("iam:CreateRole", f"{ROLE}-function", BOUNDED),
        ("iam:PutRolePolicy", f"{ROLE}-function", BOUNDED),
        ("iam:PassRole", f"{ROLE}-function", {"iam:passedtoservice": ["lambda.amazonaws.com"]}),
        ("ec2:StopInstances", "arn:aws:ec2:us-east-1:123456789012:instance/i-1",
         {"aws:resourcetag/project": ["kennel"]}),
        ("s3:PutObject", "arn:aws:s3:::kennel-123456789012-us-east-1/model/a", {}),
    ],
)  # fmt: skip
def test_the_deployer_may_deploy(action: str, resource: str, context: dict[str, list[str]]) -> None:
    assert may(action, resource, context)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("iam:CreateRole", f"{ROLE}-function", {}),
        ("iam:CreateRole", f"{ROLE}-function", {"iam:permissionsboundary": [f"{POLICY}-wide"]}),
        ("iam:CreateRole", f"{ROLE}-another", BOUNDED),
        ("iam:PutRolePolicy", f"{ROLE}-function", {}),
        ("iam:PutRolePolicy", f"{ROLE}-deployer", BOUNDED),
        ("iam:AttachRolePolicy", f"{ROLE}-function", BOUNDED),
        ("iam:AttachRolePolicy", f"{ROLE}-deployer", BOUNDED),
        ("iam:DeleteRolePermissionsBoundary", f"{ROLE}-function", BOUNDED),
        ("iam:UpdateAssumeRolePolicy", f"{ROLE}-deployer", {}),
        ("iam:CreatePolicyVersion", f"{POLICY}-boundary", {}),
        ("iam:CreatePolicyVersion", f"{POLICY}-deployer-roles", {}),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/me", BOUNDED),
        ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/admin", {}),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/admin",
         {"iam:passedtoservice": ["lambda.amazonaws.com"]}),
        ("iam:PassRole", f"{ROLE}-training", {"iam:passedtoservice": ["lambda.amazonaws.com"]}),
        ("iam:PassRole", f"{ROLE}-deployer", {"iam:passedtoservice": ["lambda.amazonaws.com"]}),
        ("sts:AssumeRole", f"{ROLE}-function", {}),
        ("lambda:UpdateFunctionCode", "arn:aws:lambda:us-east-1:123456789012:function:other", {}),
        ("ec2:TerminateInstances", "arn:aws:ec2:us-east-1:123456789012:instance/i-1", OTHERS),
        ("ec2:TerminateInstances", "arn:aws:ec2:us-east-1:123456789012:instance/i-1", {}),
        ("ec2:CreateTags", "arn:aws:ec2:us-east-1:123456789012:instance/i-1",
         {"aws:requesttag/project": ["kennel"]}),
        ("ec2:RunInstances", "arn:aws:ec2:us-east-1:123456789012:instance/*", UNTAGGED),
        ("ssm:SendCommand", "arn:aws:ec2:us-east-1:123456789012:instance/i-1", {}),
        ("s3:GetObject", "arn:aws:s3:::other/key", {}),
        ("s3:DeleteBucket", "arn:aws:s3:::kennel-state-123456789012-us-east-1", {}),
        ("s3:DeleteObjectVersion",
         "arn:aws:s3:::kennel-state-123456789012-us-east-1/terraform.tfstate", {}),
    ],
)  # fmt: skip
def test_the_deployer_may_not_get_further(
    action: str, resource: str, context: dict[str, list[str]]
) -> None:
    assert not may(action, resource, context)


def test_the_boundary_lets_a_role_touch_no_identity() -> None:
    passing = [
        statement
        for statement in boundary_policy(PROJECT)["Statement"]
        if any(action.startswith(("iam:", "sts:")) for action in statement["Action"])
    ]

    assert [(one["Action"], one["Resource"]) for one in passing] == [
        (["iam:PassRole"], [f"{ROLE}-training-job"])
    ]


def test_who_takes_the_role_is_for_the_accounts_own_policies_to_say() -> None:
    (statement,) = trust(PROJECT)["Statement"]

    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
