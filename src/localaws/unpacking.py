"""Unpacks archives as strictly as a service must that unpacks what anybody uploads."""

import gzip
import io
import os
import shutil
import stat
import tarfile
import zlib
from pathlib import Path, PurePosixPath

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 20 * 2**30
MAX_RATIO = 200
"""Of unpacked to packed bytes. Weights hardly shrink; text shrinks to a twentieth."""
FREE_BYTES = 64 * 2**20
"""An archive may unpack to so much whatever the ratio is."""
_BLOCK = 1 << 20


class ArchiveError(Exception):
    """The archive is refused; the message names what is wrong in it."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz of plain files and folders.

    Args:
        archive: the file.
        folder: is made; an empty one may be there.

    Raises:
        ArchiveError: something in it is refused, by name, or it is damaged. Then nothing is left.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with archive.open("rb") as file, _Unpacked(file, archive) as content:
            _unpack(content, partial, archive.name)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(
            f"{archive.name} is damaged or cut short: {error}. Make it again."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class _Unpacked(gzip.GzipFile):
    """What a gzip file holds, read only as far as an archive may unpack."""

    def __init__(self, file: io.BufferedIOBase | io.BufferedReader, archive: Path) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._archive = archive.name
        packed = os.fstat(file.fileno()).st_size
        self._most = min(MAX_UNPACKED_BYTES, max(FREE_BYTES, MAX_RATIO * packed))

    def read(self, size: int | None = -1) -> bytes:
        # tarfile reads a long name at once, whatever length its header claims.
        _require(
            size is not None and 0 <= size <= _BLOCK,
            f"{self._archive} has a header that claims {size} bytes.",
        )
        data = super().read(size)
        self._check(self.tell())
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check(offset)
        return super().seek(offset, whence)

    def _check(self, place: int) -> None:
        _require(
            place <= self._most,
            f"{self._archive} unpacks to more than {self._most:,} bytes: it is a bomb.",
        )


def _unpack(content: _Unpacked, folder: Path, archive: str) -> None:
    seen: set[str] = set()
    with tarfile.open(fileobj=content, mode="r:") as tar:
        for member in tar:
            path = _checked(member, archive)
            if path is None:
                continue
            _require(str(path) not in seen, f"{archive} has {member.name!r} twice.")
            _require(len(seen) < MAX_MEMBERS, f"{archive} has more than {MAX_MEMBERS:,} files.")
            seen.add(str(path))
            _write(tar, member, folder / path, archive)
    # tarfile takes a damaged header for the end: what follows the end must be zeros, to the last.
    while data := content.read(_BLOCK):
        _require(not data.strip(b"\0"), f"{archive} is damaged: there is more behind its end.")


def _checked(member: tarfile.TarInfo, archive: str) -> PurePosixPath | None:
    """Where a member goes, relative; None for the folder itself."""
    name = member.name
    shown = f"{archive} has {name[:200]!r}"
    _require(member.isreg() or member.isdir(), f"{shown}, which is {_kind(member)}.")
    _require(not member.issparse(), f"{shown}, which is a sparse file.")
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and "\\" not in name
    _require(plain and name.isprintable(), f"{shown}, which leads out of its folder.")
    return path if path.parts else None


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, archive: str) -> None:
    try:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        source = tar.extractfile(member)
        with path.open("xb") as file:
            while source is not None and (data := source.read(_BLOCK)):
                file.write(data)
        path.chmod(0o644 | (member.mode & stat.S_IXUSR))
    except (FileExistsError, NotADirectoryError):
        raise ArchiveError(f"{archive} has {member.name!r} as a file and as a folder.") from None


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname[:200]!r}"
    return "a device" if member.isdev() else "no plain file"


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ArchiveError(message)
