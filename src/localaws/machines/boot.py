"""What cloud-init runs at a boot, read from a machine's user data.

Understood: a `#!` script, `#cloud-boothook`, MIME parts of either kind and of the types
text/x-shellscript, -per-boot, -per-instance, -per-once and text/cloud-boothook, gzip, and of
`#cloud-config` only `[scripts-user, always]`. Anything else is named in the machine's log.
"""

import base64
import binascii
import email
import gzip
import re
from dataclasses import dataclass
from typing import Literal

FRESH = ("text/x-shellscript", "text/x-shellscript-per-instance", "text/x-shellscript-per-once")
_ALWAYS = re.compile(rb"scripts-user\s*,\s*always|-\s*-\s*scripts-user\s+-\s*always")


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """One program of the user data."""

    name: str
    text: bytes
    stage: Literal["boothook", "per-boot", "first-boot"]
    """boothook: at every boot, before all else. per-boot: at every boot. first-boot: once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UserData:
    """User data, understood."""

    scripts: tuple[Script, ...]
    """In the order in which they run at a first boot."""
    refused: tuple[str, ...]
    """One line about each part that is not imitated."""


def read_user_data(data: bytes) -> UserData:
    """Find the scripts in user data.

    Args:
        data: as the instance's metadata service gives it: plain, gzip, or base64 once more.
    """
    scripts: list[Script] = []
    refused: list[str] = []
    always = False
    for number, (kind, name, text) in enumerate(_parts(_plain(data))):
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", name) or f"part-{number + 1:03}"
        if text.startswith(b"#cloud-boothook") or kind == "text/cloud-boothook":
            body = text.partition(b"\n")[2] if text.startswith(b"#cloud-boothook") else text
            scripts.append(Script(name=name, text=body, stage="boothook"))
        elif kind == "text/x-shellscript-per-boot":
            scripts.append(Script(name=name, text=text, stage="per-boot"))
        elif kind in FRESH or text.startswith(b"#!"):
            scripts.append(Script(name=name, text=text, stage="first-boot"))
        elif (kind == "text/cloud-config" or text.startswith(b"#cloud-config")) and (
            _ALWAYS.search(text)
        ):
            always = True
        elif text.strip():
            refused.append(f"user data {name}: {kind} is not imitated, only scripts are.")
    if always:
        scripts = [
            Script(name=s.name, text=s.text, stage="per-boot") if s.stage == "first-boot" else s
            for s in scripts
        ]
    order = ("boothook", "per-boot", "first-boot")
    scripts.sort(key=lambda script: order.index(script.stage))
    return UserData(scripts=tuple(scripts), refused=tuple(refused))


def _plain(data: bytes) -> bytes:
    """Undo a second base64 and gzip, as cloud-init does."""
    try:
        decoded = base64.b64decode(data, validate=False) if _looks_encoded(data) else data
    except binascii.Error:
        decoded = data
    return gzip.decompress(decoded) if decoded.startswith(b"\x1f\x8b") else decoded


def _looks_encoded(data: bytes) -> bool:
    return re.fullmatch(rb"[A-Za-z0-9+/\s]+={0,2}\s*", data) is not None


def _parts(data: bytes) -> list[tuple[str, str, bytes]]:
    """Each part's content type, file name and bytes."""
    head = data.lstrip()[:200].lower()
    if not (head.startswith((b"content-type:", b"mime-version:"))):
        return [("text/x-not-multipart", "part-001", data)]
    parts = []
    for part in email.message_from_bytes(data.lstrip()).walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            text = payload if isinstance(payload, bytes) else b""
            parts.append((part.get_content_type(), part.get_filename() or "", text))
    return parts
