"""boto3 clients that act with a role's rights, as the services of AWS do on a user's behalf."""

from typing import Any

from localaws.core import LocalAws


def role_client(
    aws: LocalAws,
    service: str,
    role_arn: str,
    session_name: str,
    *,
    attempts: int = 1,
    read_timeout_seconds: float = 60,
) -> Any:
    """A boto3 client of this local AWS with the rights of a role.

    Args:
        aws: the local AWS.
        service: as boto3 names it.
        role_arn: whose rights it has.
        session_name: what the calls are recorded under.
        attempts: how often a call is tried that fails for reasons that pass.
        read_timeout_seconds: how long nothing may arrive.
    """
    import boto3
    from botocore.config import Config

    credentials = aws.role_credentials(role_arn, session_name)
    session: Any = boto3.session.Session()
    return session.client(
        service,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(
            read_timeout=read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
            s3={"addressing_style": "path"},
        ),
        endpoint_url=aws.url,
        region_name=aws.region,
    )
