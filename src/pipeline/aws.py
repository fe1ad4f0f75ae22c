"""The account that the environment points to."""

import functools
import threading
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

Client = Any
"""A boto3 client; its operations have no static types."""


class Account:
    """Clients for one region, made once, with limits on how long they wait; for any thread."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._session: Any = boto3.session.Session(region_name=region)
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}

    def client(self, service: str) -> Client:
        """A client of one service, for example `s3`."""
        with self._lock:
            if service not in self._clients:
                config = Config(
                    connect_timeout=10,
                    read_timeout=120,
                    retries={"mode": "standard", "total_max_attempts": 5},
                    max_pool_connections=32,
                )
                self._clients[service] = self._session.client(service, config=config)
            return self._clients[service]

    def account_id(self) -> str:
        """Twelve digits."""
        return str(self.client("sts").get_caller_identity()["Account"])


@functools.cache
def account_of(region: str) -> Account:
    """The account, with clients that are kept between calls."""
    return Account(region)


def error_code(error: ClientError) -> str:
    """AWS's name of an error, for example `404` or `NoSuchKey`."""
    return str(error.response["Error"].get("Code", ""))


def pages(client: Client, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """Every item of a listing, whatever the number of pages."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, [])


def bucket_exists(s3: Client, bucket: str) -> bool:
    """Whether there is such a bucket that is ours to use."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) in {"404", "NoSuchBucket"}:
            return False
        raise
    return True
