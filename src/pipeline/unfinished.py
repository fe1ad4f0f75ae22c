"""The note beside Terraform's state that says: an apply is under way, or did not come to its end.

It is written before Terraform changes anything and removed when all is changed. When a later
command finds it while nobody holds the lock, there may be things that the state does not know, or
that nothing uses any more.
"""

import json
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from pipeline.aws import Client, error_code
from pipeline.turns import here

_KEY = "terraform.tfstate.unfinished"


class Note:
    """The note of one stage."""

    def __init__(self, s3: Client, bucket: str) -> None:
        self._s3 = s3
        self._where = {"Bucket": bucket, "Key": _KEY}

    def write(self) -> None:
        """Say that an apply is under way."""
        note = {"began": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", "who": here()}
        self._s3.put_object(**self._where, Body=json.dumps(note).encode())

    def remove(self) -> None:
        """Say that it has come to its end."""
        self._s3.delete_object(**self._where)

    def read(self) -> str | None:
        """Who left the note and when, to be shown; `None` when there is none."""
        try:
            note = json.loads(self._s3.get_object(**self._where)["Body"].read())
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            raise
        return f"{note['who']} began it {note['began']}"
