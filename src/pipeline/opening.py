"""Opens the state of a stage: to read it, or for one command at a time to change it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.strict import require
from pipeline.aws import Account, Client, bucket_exists
from pipeline.cli import Failed, Place, say
from pipeline.state import STATE_KEY, ensure_state_bucket, state_bucket
from pipeline.terraform import Terraform
from pipeline.turns import Turn, find_lock, remove_lock

INFRA = Path("infra")


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


def open_terraform(
    place: Place,
    account: Account,
    turn: Turn | None = None,
    tell: Callable[[str], None] = say,
) -> Terraform:
    """Terraform, connected to the stage's state; to change it, it must be this process's turn."""
    name = place.settings.name
    bucket = state_bucket(name, account.account_id(), account.region)
    if not bucket_exists(account.client("s3"), bucket):
        require(
            place.settings.stage == "local",
            f"There is no bucket {bucket} for Terraform's state. Run `make bootstrap STAGE=aws` "
            "once, as an administrator: it makes the bucket, and the role that deploys.",
        )
        ensure_state_bucket(account, name, tell)
    terraform = Terraform(INFRA, turn_folder(place), account.region, tell, turn)
    terraform.init(
        {
            "bucket": bucket,
            "encrypt": "true",
            "key": STATE_KEY,
            "region": account.region,
            "use_lockfile": "true",
        }
    )
    return terraform


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
