"""S3: bucket policies are kept here, where the evaluator of iam/ reads them.

moto would apply them itself, but does not know conditions: a policy that only refuses plain HTTP
would refuse everything.
"""

import json
from collections.abc import Mapping
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply


class BucketPolicies:
    """Keeps the policy of each bucket."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._policies: dict[str, bytes] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("s3", "DeleteBucketPolicy"): self._delete,
            ("s3", "GetBucketPolicy"): self._get,
            ("s3", "GetBucketPolicyStatus"): self._status,
            ("s3", "PutBucketPolicy"): self._put,
        }
        self.observers: Mapping[Operation, Observer] = {("s3", "DeleteBucket"): self._forget}

    def of_arn(self, arn: str) -> Mapping[str, Any] | None:
        """The policy of the bucket that an ARN lies in."""
        text = self._policies.get(arn.removeprefix("arn:aws:s3:::").split("/", 1)[0])
        return None if text is None else json.loads(text)

    def _put(self, call: Call) -> Reply:
        bucket = self._existing(call)
        try:
            policy = json.loads(call.body)
        except ValueError:
            policy = None
        if not isinstance(policy, Mapping) or "Statement" not in policy:
            raise AwsError("MalformedPolicy", "Policies must be valid JSON and have statements.")
        self._policies[bucket] = call.body
        return Reply(status=204)

    def _get(self, call: Call) -> Reply:
        text = self._policies.get(self._existing(call))
        if text is None:
            raise _no_policy()
        return Reply(headers={"Content-Type": "application/json"}, body=text)

    def _status(self, call: Call) -> Reply:
        policy = self.of_arn(f"arn:aws:s3:::{self._existing(call)}")
        if policy is None:
            raise _no_policy()
        public = any(
            statement.get("Effect") == "Allow" and statement.get("Principal") in ("*", {"AWS": "*"})
            for statement in policy["Statement"]
        )
        return wire.result(call, {"PolicyStatus": {"IsPublic": public}})

    def _delete(self, call: Call) -> Reply:
        self._policies.pop(self._existing(call), None)
        return Reply(status=204)

    def _forget(self, call: Call, reply: Reply) -> Reply:
        self._policies.pop(call.params["Bucket"], None)
        return reply

    def _existing(self, call: Call) -> str:
        bucket = str(call.params["Bucket"])
        s3 = self._aws.records_client("s3")
        try:
            s3.head_bucket(Bucket=bucket)
        except s3.exceptions.ClientError:
            message = "The specified bucket does not exist"
            raise AwsError("NoSuchBucket", message, 404) from None
        return bucket


def _no_policy() -> AwsError:
    return AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
