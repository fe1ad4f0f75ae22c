"""boto3 clients that act with a role's rights, as the services of AWS do on a user's behalf."""

from typing import Any

from localaws.core import LocalAws


def role_client(aws: LocalAws, service: str, role_arn: str, session_name: str) -> Any:
    """A boto3 client of this local AWS with the rights of a role."""
    import boto3
    from botocore.config import Config

    credentials = aws.role_credentials(role_arn, session_name)
    session: Any = boto3.session.Session()
    return session.client(
        service,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        endpoint_url=aws.url,
        region_name=aws.region,
    )
