"""Where Terraform keeps its state: a bucket of its own, on every stage alike."""

import json
from collections.abc import Callable

from botocore.exceptions import ClientError

from pipeline.aws import Account, Client, bucket_exists, error_code, pages

STATE_KEY = "terraform.tfstate"


def state_bucket(name: str, account_id: str, region: str) -> str:
    """The bucket's name."""
    return f"{name}-state-{account_id}-{region}"


def ensure_state_bucket(account: Account, name: str, tell: Callable[[str], None]) -> str:
    """Make the state bucket if there is none, and see that it is as it must be.

    Returns:
        Its name.
    """
    s3 = account.client("s3")
    bucket = state_bucket(name, account.account_id(), account.region)
    if not bucket_exists(s3, bucket):
        _make(s3, bucket, account.region)
        tell(f"Made the bucket for Terraform's state: {bucket}")
    _secure(s3, bucket, partition_of(account.region))
    return bucket


def partition_of(region: str) -> str:
    """The part of AWS that a region lies in: aws, aws-cn or aws-us-gov."""
    prefix = region.rpartition("-")[0]
    if prefix.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if prefix.startswith("us-gov-") else "aws"


def has_resources(s3: Client, bucket: str) -> bool:
    """Whether anything stands that Terraform made."""
    try:
        body = s3.get_object(Bucket=bucket, Key=STATE_KEY)["Body"].read()
    except ClientError as error:
        if error_code(error) in {"NoSuchKey", "NoSuchBucket", "404"}:
            return False
        raise
    return bool(json.loads(body)["resources"])


def _make(s3: Client, bucket: str, region: str) -> None:
    where = {"LocationConstraint": region}
    # us-east-1 is S3's own default, and the one region that must not be named.
    extra = {} if region == "us-east-1" else {"CreateBucketConfiguration": where}
    try:
        s3.create_bucket(Bucket=bucket, **extra)
    except ClientError as error:
        if error_code(error) != "BucketAlreadyOwnedByYou":
            raise


def _secure(s3: Client, bucket: str, partition: str) -> None:
    """Versioned, encrypted, not public, by TLS only."""
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [encryption]}
    )
    arn = f"arn:{partition}:s3:::{bucket}"
    refuse = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [refuse]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def remove_state_bucket(account: Account, bucket: str) -> None:
    """Delete the bucket with every version of the state."""
    s3 = account.client("s3")
    for kind in ("Versions", "DeleteMarkers"):
        for item in pages(s3, "list_object_versions", kind, Bucket=bucket):
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
    s3.delete_bucket(Bucket=bucket)
