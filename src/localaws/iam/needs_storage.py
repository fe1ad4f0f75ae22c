"""What calls of S3 need."""

from collections.abc import Mapping
from urllib.parse import unquote

from localaws.core import Call
from localaws.iam.needs import Known, Need, Needs, Values

# Operations whose action has another name.
_ACTIONS = {
    "CreateMultipartUpload": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketReplication": "PutReplicationConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_OF_A_VERSION = {
    "DeleteObject": "DeleteObjectVersion",
    "GetObject": "GetObjectVersion",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
}
_HEADERS = {
    "x-amz-acl": "s3:x-amz-acl",
    "x-amz-server-side-encryption": "s3:x-amz-server-side-encryption",
    "x-amz-storage-class": "s3:x-amz-storage-class",
    "if-none-match": "s3:if-none-match",
    "if-match": "s3:if-match",
}
_QUERY = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}


def bucket_arn(bucket: str, key: str | None = None) -> str:
    """ARN of a bucket or an object."""
    return f"arn:aws:s3:::{bucket}" + (f"/{key}" if key is not None else "")


def list_need(bucket: str, prefix: str) -> Need:
    """What it takes to be told that a key does not exist."""
    context = {"s3:prefix": [prefix]}
    return Need(action="s3:ListBucket", resource=bucket_arn(bucket), context=context)


# Calls that make S3 use a key of KMS for its caller, and what for.
_KEY_USES = {
    "CompleteMultipartUpload": ("Decrypt",),
    "CopyObject": ("GenerateDataKey",),
    "CreateMultipartUpload": ("GenerateDataKey",),
    "GetObject": ("Decrypt",),
    "PutObject": ("GenerateDataKey",),
    "UploadPart": ("Decrypt", "GenerateDataKey"),
}


def _key_needs(call: Call, known: Known, bucket: str) -> list[Need]:
    uses = _KEY_USES.get(call.operation, ())
    key = known.bucket_key(bucket) if uses else None
    context = {
        "kms:viaservice": [f"s3.{known.region}.amazonaws.com"],
        "kms:encryptioncontext:aws:s3:arn": [bucket_arn(bucket, str(call.params.get("Key")))],
    }
    if key is None:
        return []
    return [Need(action=f"kms:{use}", resource=key, context=context) for use in uses]


def _s3(call: Call, known: Known) -> list[Need]:
    params = call.params
    bucket, key = params.get("Bucket"), params.get("Key")
    name = _ACTIONS.get(call.operation, call.operation)
    if bucket is None:
        return [Need(action=f"s3:{name}")]
    context: Values = {
        condition: [call.headers[header]]
        for header, condition in _HEADERS.items()
        if header in call.headers
    }
    if name in ("ListBucket", "ListBucketVersions") and call.operation != "HeadBucket":
        # S3 takes an absent prefix for an empty one.
        context["s3:prefix"] = [str(params.get("Prefix") or "")]
        context |= {
            condition: [str(params[member])]
            for member, condition in _QUERY.items()
            if params.get(member) not in (None, "")
        }
    if call.operation == "DeleteObjects":
        objects = (params.get("Delete") or {}).get("Objects") or []
        return [_object(name, bucket, o["Key"], o.get("VersionId"), context) for o in objects]
    if key is None:
        return [Need(action=f"s3:{name}", resource=bucket_arn(bucket), context=context)]
    needs = [_object(name, bucket, key, params.get("VersionId"), context)]
    source = params.get("CopySource")
    if source:
        path, _sign, query = str(source).lstrip("/").partition("?versionId=")
        from_bucket, _slash, from_key = unquote(path).partition("/")
        needs.append(_object("GetObject", from_bucket, from_key, query or None, {}))
    return [*needs, *_key_needs(call, known, bucket)]


def _object(name: str, bucket: str, key: str, version: str | None, context: Values) -> Need:
    if version:
        name = _OF_A_VERSION.get(name, name)
        context = {**context, "s3:versionid": [version]}
    return Need(action=f"s3:{name}", resource=bucket_arn(bucket, key), context=context)


NEEDS: Mapping[str, Needs] = {"s3": _s3}
