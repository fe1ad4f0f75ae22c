"""`make releases`: the releases that were deployed and answered as they should."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from contract.release import Release
from contract.strict import parse, require
from pipeline.aws import Account, Client, pages
from pipeline.cli import find_place, run_verb, say, verb_parser
from pipeline.stacks import stack_of

PREFIX = "releases/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One deployment that was verified."""

    time: str
    """UTC, ISO 8601."""
    release: Release

    @property
    def key(self) -> str:
        """Where it is written; the order of keys is the order of time."""
        stamp = self.time.replace("-", "").replace(":", "")
        return f"{PREFIX}{stamp}-{self.release.version}.json"


def record(s3: Client, bucket: str, release: Release) -> None:
    """Write down that a release was verified, unless the last record says the same."""
    known = records(s3, bucket)
    if known and known[-1].release == release:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    new = Record(time=now, release=release)
    s3.put_object(
        Bucket=bucket,
        Key=new.key,
        Body=json.dumps(dataclasses.asdict(new), indent=2).encode(),
        ContentType="application/json",
    )


def records(s3: Client, bucket: str) -> list[Record]:
    """Every record, the oldest first."""
    keys = sorted(
        item["Key"] for item in pages(s3, "list_objects_v2", "Contents", Bucket=bucket,
                                      Prefix=PREFIX)
    )  # fmt: skip
    return [
        parse(Record, json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()), key)
        for key in keys
    ]


def find_release(known: Sequence[Record], live: str | None, version: str | None) -> Release:
    """The release to go back to.

    Args:
        known: the oldest first.
        live: the version that serves now.
        version: the wished one, or its first digits; `None` is the last one that is not live.

    Raises:
        ContractError: there is none.
    """
    fitting = [
        r.release
        for r in known
        if (r.release.version.startswith(version) if version else r.release.version != live)
    ]
    listed = ", ".join(dict.fromkeys(r.release.version for r in known)) or "none"
    wanted = f"release {version}" if version else "release before this one"
    require(bool(fitting), f"There is no verified {wanted}. Verified releases: {listed}.")
    return fitting[-1]


def main(argv: Sequence[str] | None = None) -> int:
    """List the releases."""
    return run_verb(verb_parser(__doc__), argv, _list)


def _list(options: argparse.Namespace) -> None:
    stack = stack_of(find_place(options))
    known = records(Account(stack.region).client("s3"), stack.bucket)
    live = [entry for entry in known if entry.release.version == stack.model_version][-1:]
    for entry in known:
        say(f"{entry.time}  {entry.release.version}{'  live' if entry in live else ''}")
    say(f"{len(known)} verified deployments; `make rollback TO=version` goes back to one.")


if __name__ == "__main__":
    raise SystemExit(main())
