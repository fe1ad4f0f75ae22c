"""One look at each file: can it be read, what is it, what does it look like.

T = side of the tiny grey version that copies are found by.
"""

import hashlib
import io
import sqlite3
import threading
import warnings
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import PIL
from PIL import Image, features

from contract.messages import RequestError
from contract.preprocessing import decode
from contract.strict import require

TINY = 32
"""T, in pixels."""

EXIF_ORIENTATION = 0x0112
ON_THEIR_SIDE = {5, 6, 7, 8}
"""EXIF orientations that exchange width and height."""

SAVE_EVERY = 200
"""Looks that an interrupted run loses at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What a file's content says; where it lies does not matter."""

    sha256: str
    fault: str
    """Why it cannot be read; empty for a picture."""
    kind: str
    """Pillow's mode, and `rotated` where EXIF says so."""
    width_px: int
    height_px: int
    tiny: bytes
    """Grey, uint8, T x T, squeezed to a square; empty for a fault."""


def look_at(data: bytes, sha256: str, path: Path) -> Look:
    """Decode a picture, at a small scale but to its last byte.

    Raises:
        ContractError: there is no memory for it; that is not the picture's fault.
    """
    try:
        image = decode(data, TINY)
    except RequestError as error:
        require(error.code != "unavailable", f"{path}: no memory left to look at it; free some.")
        return Look(sha256=sha256, fault=str(error), kind="", width_px=0, height_px=0, tiny=b"")
    grey = image.convert("L").resize((TINY, TINY), Image.Resampling.BOX)
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as header:
        kind, (width, height), orientation = header.mode, header.size, 1
        with suppress(Exception):  # a damaged EXIF block turns nothing, as in serving
            orientation = header.getexif().get(EXIF_ORIENTATION, 1)
    if orientation in ON_THEIR_SIDE:
        width, height = height, width
    return Look(
        sha256=sha256,
        fault="",
        kind=kind + (" rotated" if orientation != 1 else ""),
        width_px=width,
        height_px=height,
        tiny=grey.tobytes(),
    )


def decoder() -> str:
    """What decodes: another version may give other pixels, or read what this one cannot."""
    libraries = [f"{name} {features.version(name)}" for name in ("jpg", "zlib", "webp")]
    return ", ".join([f"Pillow {PIL.__version__}", *libraries, f"looks 1 of {TINY}"])


class Looks:
    """Looks of earlier runs, by content, in one SQLite file; safe for several processes.

    It only saves time: where the file cannot be used, every picture is looked at again.
    """

    def __init__(self, file: Path | None) -> None:
        self.lock = threading.Lock()
        self.unsaved: list[tuple[object, ...]] = []
        self.db = None if file is None else _opened(file)
        self.decoder = decoder()

    def of(self, path: Path) -> Look:
        """Look at a file, or remember what its content looked like."""
        try:
            data = path.read_bytes()
        except OSError as error:
            return Look(sha256="", fault=str(error), kind="", width_px=0, height_px=0, tiny=b"")
        sha256 = hashlib.sha256(data).hexdigest()
        found = self._find(sha256)
        if found is None:
            found = look_at(data, sha256, path)
            self._keep(found)
        return found

    def close(self) -> None:
        """Save what was seen."""
        with self.lock:
            self._save()
            if self.db is not None:
                self.db.close()

    def _find(self, sha256: str) -> Look | None:
        query = (
            "SELECT fault, kind, width_px, height_px, tiny FROM looks"
            " WHERE sha256 = ? AND decoder = ?"
        )
        with self.lock, suppress(sqlite3.Error):
            row = self.db and self.db.execute(query, (sha256, self.decoder)).fetchone()
            if row:
                fault, kind, width, height, tiny = row
                return Look(
                    sha256=sha256, fault=fault, kind=kind, width_px=width, height_px=height,
                    tiny=tiny,
                )  # fmt: skip
        return None

    def _keep(self, look: Look) -> None:
        with self.lock:
            self.unsaved.append((self.decoder, *astuple(look)))
            if len(self.unsaved) >= SAVE_EVERY:
                self._save()

    def _save(self) -> None:
        """In one short transaction: while it is open, other processes wait."""
        with suppress(sqlite3.Error):
            if self.db is not None:
                row = "INSERT OR IGNORE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?)"
                self.db.executemany(row, self.unsaved)
                self.db.commit()
        self.unsaved.clear()


def _opened(file: Path) -> sqlite3.Connection | None:
    """The database, made anew if it is none; nothing where it cannot be written."""
    table = (
        "CREATE TABLE IF NOT EXISTS looks (decoder TEXT, sha256 TEXT, fault TEXT, kind TEXT,"
        " width_px INTEGER, height_px INTEGER, tiny BLOB, PRIMARY KEY (sha256, decoder))"
    )
    for _ in range(2):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(file, timeout=60, check_same_thread=False)
            db.execute(table)
            db.commit()
        except (OSError, sqlite3.OperationalError):
            return None
        except sqlite3.DatabaseError:
            with suppress(OSError):
                file.unlink()
        else:
            return db
    return None
