"""SQS and S3: the policies of queues, and whom S3 may tell of new objects."""

import json
from collections.abc import Mapping
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply
from localaws.forward import ask_records
from localaws.records import ACCOUNT_ID


class Queues:
    """Reads queues' policies from moto, and asks them before S3 sends anything."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self.handlers: Mapping[Operation, Handler] = {
            ("s3", "PutBucketNotificationConfiguration"): self._notify,
        }

    def of_arn(self, arn: str) -> Mapping[str, Any] | None:
        """The policy of a queue."""
        from moto.sqs.models import sqs_backends

        queue = sqs_backends[ACCOUNT_ID][self._aws.region].queues.get(arn.rpartition(":")[2])
        policy = queue.policy if queue else None
        if not policy:
            return None
        found: Mapping[str, Any] = json.loads(policy) if isinstance(policy, str) else policy
        return found

    def _notify(self, call: Call) -> Reply:
        bucket = call.params["Bucket"]
        wanted = call.params.get("NotificationConfiguration") or {}
        other = [kind for kind in wanted if kind != "QueueConfigurations" and wanted[kind]]
        if other:
            message = f"localaws does not implement {other[0]} of buckets: queues only"
            raise AwsError("NotImplementedException", message, 501)
        for one in wanted.get("QueueConfigurations") or ():
            source = f"arn:aws:s3:::{bucket}"
            if not self._aws.service_may(
                "s3.amazonaws.com", "sqs:SendMessage", one["QueueArn"], source
            ):
                message = "Unable to validate the following destination configurations"
                raise AwsError("InvalidArgument", message)
        ask_records(self._aws, call)
        return Reply()
