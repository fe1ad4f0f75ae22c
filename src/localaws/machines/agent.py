"""Systems Manager's agent on a machine: whether its role lets it report for duty."""

from localaws.core import LocalAws

_CALLS = (("ssm", "UpdateInstanceInformation"), ("ssmmessages", "CreateControlChannel"))


def may_register(aws: LocalAws, role_arn: str, instance_id: str) -> bool:
    """Whether the role may do what the agent does to be told commands."""
    about = {"InstanceId": instance_id}
    return all(
        aws.may(role_arn, instance_id, service, operation, about) for service, operation in _CALLS
    )
