"""Archives that are the same bytes on every machine.

Entries are sorted; times, owners and modes are fixed. Nothing is compressed: what zlib makes of
the same input differs between its versions and its rewrites (zlib-ng), while a stored block has
one form. Weights hardly shrink anyway, and the sources are small.
"""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BLOCK = 65_535
"""The most bytes a stored block of DEFLATE may hold."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in an archive."""

    name: str
    """With slashes, relative."""
    source: Path
    executable: bool = False


class _StoredGzip(io.RawIOBase):
    """A gzip file (RFC 1952) of stored blocks, without a time or a name."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._pending = bytearray()
        self._crc = 0
        self._size = 0
        file.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: bytes) -> int:  # type: ignore[override]  # tarfile writes bytes only
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._pending += data
        while len(self._pending) > _BLOCK:
            self._block(self._pending[:_BLOCK], last=False)
            del self._pending[:_BLOCK]
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._block(self._pending, last=True)
            self._file.write(struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))
        super().close()

    def _block(self, data: bytes | bytearray, *, last: bool) -> None:
        self._file.write(struct.pack("<BHH", last, len(data), len(data) ^ 0xFFFF))
        self._file.write(data)


def write_tar_gz(entries: Iterable[Entry], path: Path) -> None:
    """Write a .tar.gz, whole or not at all."""
    temporary = _beside(path)
    with (
        temporary.open("wb") as file,
        _StoredGzip(file) as stored,
        tarfile.open(fileobj=stored, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for entry in _ordered(entries):
            with entry.source.open("rb") as source:
                member = tarfile.TarInfo(entry.name)
                member.size = entry.source.stat().st_size
                member.mode = 0o755 if entry.executable else 0o644
                tar.addfile(member, source)
    temporary.replace(path)


def write_zip(entries: Iterable[Entry], path: Path) -> None:
    """Write a .zip, whole or not at all."""
    temporary = _beside(path)
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for entry in _ordered(entries):
            member = zipfile.ZipInfo(entry.name, (1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, also when written elsewhere
            member.external_attr = (0o100755 if entry.executable else 0o100644) << 16
            archive.writestr(member, entry.source.read_bytes())
    temporary.replace(path)


def read_member(archive: Path, name: str) -> bytes:
    """One file of a .tar.gz.

    Raises:
        KeyError: it is not in there.
    """
    with tarfile.open(archive) as tar:
        member = tar.extractfile(name)
        if member is None:
            raise KeyError(name)
        return member.read()


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.name)


def _beside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.partial")
