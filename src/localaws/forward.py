"""Asks moto's records what a part does not answer itself."""

from collections.abc import Mapping
from typing import Any

from localaws.core import AwsError, Call, LocalAws


def ask_records(
    aws: LocalAws, call: Call, params: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Pass a call on, with other parameters if given.

    Raises:
        AwsError: moto's error, as it is.
    """
    from botocore import xform_name
    from botocore.exceptions import ClientError

    method = getattr(aws.records_client(call.service), xform_name(call.operation))
    try:
        answer: dict[str, Any] = method(**(call.params if params is None else params))
    except ClientError as error:
        said = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        raise AwsError(said["Code"], said["Message"], status) from None
    answer.pop("ResponseMetadata", None)
    return answer
