"""What the parts of the local AWS hand to each other."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One signed request, understood."""

    service: str
    """Name of the botocore service model: sagemaker, sagemaker-runtime, lambda, ssm, ec2 ..."""
    operation: str
    """Name of the operation: CreateEndpoint, Invoke, SendCommand ..."""
    params: dict[str, Any]
    """The request's members as boto3 takes them; a streamed body is left in `body`."""
    headers: Mapping[str, str]
    """HTTP headers, names in lower case."""
    body: bytes
    principal_arn: str
    """Who signed it: a user, or an assumed role."""
    request_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What the caller gets."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class AwsError(Exception):
    """An error as AWS names it; the gateway writes it in the protocol of the service."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})
        """More members of the error's JSON body, for example OriginalStatusCode."""


def json_reply(members: Mapping[str, Any], status: int = 200) -> Reply:
    """A reply of the JSON protocols."""
    body = json.dumps(members, default=str).encode()
    return Reply(status=status, headers={"Content-Type": "application/x-amz-json-1.1"}, body=body)


Handler = Callable[[Call], Reply]
"""Answers an operation instead of moto."""
Observer = Callable[[Call, Reply], Reply]
"""Sees moto's successful reply, acts on it, returns it or a corrected one."""
Operation = tuple[str, str]
"""(service, operation)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """Temporary credentials of a role."""

    access_key_id: str
    secret_access_key: str
    session_token: str


class LocalAws(Protocol):
    """The running local AWS, as its parts see it."""

    folder: Path
    """Everything that is made on disk lies below."""
    url: str
    """The gateway's address, http://127.0.0.1:PORT."""
    region: str
    account_id: str

    def client(self, service: str) -> Any:
        """A boto3 client of this local AWS with an administrator's rights."""

    def records_client(self, service: str) -> Any:
        """A boto3 client that speaks with moto's records, past every part."""

    def role_credentials(self, role_arn: str, session_name: str) -> Credentials:
        """New credentials of a role, as the service that assumes it gets them."""

    def check(self, call: Call, action: str, resource: str) -> None:
        """Ask the policies whether the caller may do something.

        Raises:
            AwsError: it may not.
        """

    def service_may(self, service: str, action: str, resource: str, source_arn: str) -> bool:
        """Whether a resource's own policy lets a service in, on behalf of a source."""

    def serve_credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        """Environment that lets an AWS SDK in a child process fetch a role's credentials.

        AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN.
        """

    def serve_instance_metadata(self, instance_id: str, role_arn: str | None) -> dict[str, str]:
        """Environment that lets an AWS SDK find this instance's metadata service (IMDSv2).

        AWS_EC2_METADATA_SERVICE_ENDPOINT; the service answers identity and role credentials.
        """

    def may(
        self,
        role_arn: str,
        session_name: str,
        service: str,
        operation: str,
        params: Mapping[str, Any],
    ) -> bool:
        """Whether a role may make a call that a service of AWS makes with the role's rights.

        It is decided and written down like a call that came in.
        """

    def log(
        self, group: str, stream: str, lines: Sequence[str], role_arn: str | None = None
    ) -> None:
        """Write CloudWatch log events; group and stream are made when missing.

        With a role, it is done with its rights: what it may not write is lost, as on AWS. Metrics
        embedded in the lines are taken out of them by CloudWatch, which needs no right.
        """

    def metric(
        self,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        dimensions: Mapping[str, str],
        role_arn: str | None = None,
    ) -> None:
        """Write one CloudWatch datapoint, now; with a role, as `log` does."""


class Part(Protocol):
    """One executing part: Lambda, endpoints, jobs, instances, scaling."""

    handlers: Mapping[Operation, Handler]
    observers: Mapping[Operation, Observer]

    def close(self) -> None:
        """End every process and thread of this part."""
