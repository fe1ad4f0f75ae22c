"""Lets one command at a time change the state of a stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.aws import Account, Client, bucket_exists
from pipeline.cli import Failed, Place, say
from pipeline.state import STATE_KEY, state_bucket
from pipeline.turns import Turn, find_lock, remove_lock


@contextmanager
def take_turn(place: Place, account: Account) -> Iterator[Turn]:
    """The turn to change a stage, when nobody else does.

    Raises:
        Failed: somebody does.
    """
    s3 = account.client("s3")
    bucket = state_bucket(place.settings.name, account.account_id(), account.region)
    with Turn(turn_folder(place)) as turn:
        if bucket_exists(s3, bucket):
            _pass_lock(s3, bucket, turn)
        yield turn


def turn_folder(place: Place) -> Path:
    """Where this checkout keeps what belongs to the stage's state."""
    return place.build / place.settings.stage / "terraform"


def _pass_lock(s3: Client, bucket: str, turn: Turn) -> None:
    """Go on if nobody holds the lock, or nobody who is alive."""
    lock = find_lock(s3, bucket, STATE_KEY)
    if lock is None:
        return
    if not turn.left(lock):
        raise Failed(
            f"{lock} ({lock.operation}). Wait until that command has ended; if it was killed, "
            "`make unlock` removes its lock."
        )
    remove_lock(s3, bucket, STATE_KEY, lock)
    say(f"Removed the lock that a killed command left here at {lock.created:%H:%M:%S} UTC.")
