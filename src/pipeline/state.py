"""Where Terraform keeps its state: a bucket of its own, on every stage alike."""

from collections.abc import Callable

from botocore.exceptions import ClientError

from pipeline.aws import Account, bucket_exists, error_code, pages

STATE_KEY = "terraform.tfstate"


def state_bucket(name: str, account_id: str, region: str) -> str:
    """The bucket's name."""
    return f"{name}-state-{account_id}-{region}"


def ensure_state_bucket(account: Account, name: str, tell: Callable[[str], None]) -> str:
    """Make the state bucket if there is none: versioned, encrypted, not public.

    Returns:
        Its name.
    """
    s3 = account.client("s3")
    bucket = state_bucket(name, account.account_id(), account.region)
    if bucket_exists(s3, bucket):
        return bucket
    where = {"LocationConstraint": account.region}
    # us-east-1 is S3's own default, and the one region that must not be named.
    extra = {} if account.region == "us-east-1" else {"CreateBucketConfiguration": where}
    try:
        s3.create_bucket(Bucket=bucket, **extra)
    except ClientError as error:
        if error_code(error) != "BucketAlreadyOwnedByYou":
            raise
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
    tell(f"Made the bucket for Terraform's state: {bucket}")
    return bucket


def remove_state_bucket(account: Account, bucket: str) -> None:
    """Delete the bucket with every version of the state."""
    s3 = account.client("s3")
    for kind in ("Versions", "DeleteMarkers"):
        for item in pages(s3, "list_object_versions", kind, Bucket=bucket):
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
    s3.delete_bucket(Bucket=bucket)
