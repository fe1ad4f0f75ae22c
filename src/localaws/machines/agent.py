"""Systems Manager's agent on a machine: whether its role lets it report for duty."""

from localaws.core import LocalAws
from localaws.iam.evaluator import Policies, Question, refusal
from localaws.iam.identity import Principal
from localaws.iam.policies import IamRecords


def may_register(aws: LocalAws, role_arn: str, instance_id: str) -> bool:
    """Whether the role may do what the agent does to be told commands."""
    role = role_arn.rsplit("/", 1)[1]
    arn = f"arn:aws:sts::{aws.account_id}:assumed-role/{role}/{instance_id}"
    instance_arn = f"arn:aws:ec2:{aws.region}:{aws.account_id}:instance/{instance_id}"
    principal = Principal(arn=arn, secret_access_key="")  # nobody signs in with it
    records = IamRecords()
    policies = Policies(
        identity=records.identity_policies(principal), boundary=records.boundary(principal)
    )
    needed = {
        "ssm:UpdateInstanceInformation": instance_arn,
        "ssmmessages:CreateControlChannel": "*",
    }
    questions = (
        Question(
            principal_arn=arn,
            account_id=aws.account_id,
            action=action,
            resource=resource,
            context={"aws:requestedregion": [aws.region]},
        )
        for action, resource in needed.items()
    )
    return all(refusal(question, policies) is None for question in questions)
