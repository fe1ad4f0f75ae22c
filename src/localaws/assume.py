"""Takes a role of a local AWS, so that a command runs with its rights only."""

from localaws import control

SESSION_SECONDS = 12 * 3600
"""The longest that AWS has: a training run may take long."""


def keys_of(address: control.Address, role_name: str) -> dict[str, str]:
    """The environment that holds a role's session.

    Raises:
        ControlError: there is no such role, or it does not trust this account.
    """
    import boto3  # costs a third of a second, and most runs take no role
    from botocore.exceptions import ClientError

    sts = boto3.client(
        "sts",
        aws_access_key_id=address.access_key_id,
        aws_secret_access_key=address.secret_access_key,
        endpoint_url=address.url,
        region_name=address.region,
    )
    try:
        taken = sts.assume_role(
            RoleArn=f"arn:aws:iam::{address.account_id}:role/{role_name}",
            RoleSessionName="localaws",
            DurationSeconds=SESSION_SECONDS,
        )
    except ClientError as error:
        raise control.ControlError(
            f"the role {role_name} cannot be taken: {error.response['Error']['Message']}. "
            "`make bootstrap` makes the deployer's role."
        ) from None
    keys = taken["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
