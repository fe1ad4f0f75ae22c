"""Who signed a request: every access key of the local AWS, and whom it stands for."""

import secrets
import string
import threading
import time
from dataclasses import dataclass, replace

from localaws.core import AwsError, Credentials
from localaws.records import ACCOUNT_ID

ADMIN_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/localaws-admin"
SESSION_SECONDS = 6 * 3600
"""How long the credentials of a role last when nobody asks for another time."""
_LETTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Whom a key stands for."""

    arn: str
    """arn:aws:iam::ACCOUNT:user/NAME, or arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION."""

    secret_access_key: str
    active: bool = True
    """A user's key can be switched off."""

    admin: bool = False
    """May do everything, unasked."""

    direct: bool = False
    """Goes past the parts of the local AWS to moto's records."""

    session_policy: str | None = None
    """What AssumeRole was given as Policy."""

    session_token: str | None = None
    expires: float | None = None
    """Seconds since 1970."""

    @property
    def role_name(self) -> str | None:
        """The assumed role; None for a user."""
        return self.arn.split("/")[1] if ":assumed-role/" in self.arn else None

    @property
    def user_name(self) -> str | None:
        """The user; None for an assumed role."""
        return self.arn.rsplit("/", 1)[1] if ":user/" in self.arn else None


class Identities:
    """Every access key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._principals: dict[str, Principal] = {}

    def add(self, access_key_id: str, principal: Principal) -> None:
        """Let a key stand for somebody."""
        with self._lock:
            self._principals[access_key_id] = principal

    def remove(self, access_key_id: str) -> None:
        """Forget a key."""
        with self._lock:
            self._principals.pop(access_key_id, None)

    def enable(self, access_key_id: str, *, enabled: bool) -> None:
        """Switch a key on or off."""
        with self._lock:
            principal = self._principals.get(access_key_id)
            if principal is not None:
                self._principals[access_key_id] = replace(principal, active=enabled)

    def add_admin(self, *, direct: bool = False) -> Credentials:
        """New keys that may do everything."""
        access_key_id, secret = new_key("AKIA")
        self.add(
            access_key_id,
            Principal(arn=ADMIN_ARN, secret_access_key=secret, admin=True, direct=direct),
        )
        return Credentials(access_key_id=access_key_id, secret_access_key=secret, session_token="")

    def add_session(
        self,
        role_name: str,
        session_name: str,
        seconds: int = SESSION_SECONDS,
        session_policy: str | None = None,
    ) -> Credentials:
        """New temporary keys of an assumed role."""
        access_key_id, secret = new_key("ASIA")
        token = secrets.token_urlsafe(96)
        arn = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role_name}/{session_name}"
        self.add(
            access_key_id,
            Principal(
                arn=arn,
                secret_access_key=secret,
                session_policy=session_policy,
                session_token=token,
                expires=time.time() + seconds,
            ),
        )
        return Credentials(
            access_key_id=access_key_id, secret_access_key=secret, session_token=token
        )

    def find(self, access_key_id: str, session_token: str | None) -> Principal:
        """Whom a key stands for.

        Raises:
            AwsError: nobody has this key, or its time is over.
        """
        with self._lock:
            principal = self._principals.get(access_key_id)
        if principal is None or not principal.active:
            message = "The security token included in the request is invalid."
            raise AwsError("InvalidClientTokenId", message, 403)
        if principal.session_token and principal.session_token != session_token:
            message = "The security token included in the request is invalid."
            raise AwsError("InvalidClientTokenId", message, 403)
        if principal.expires is not None and principal.expires < time.time():
            message = "The security token included in the request is expired"
            raise AwsError("ExpiredToken", message, 403)
        return principal


def new_key(prefix: str) -> tuple[str, str]:
    """An access key id and its secret."""
    tail = "".join(secrets.choice(_LETTERS) for _ in range(16))
    return prefix + tail, secrets.token_urlsafe(30)
