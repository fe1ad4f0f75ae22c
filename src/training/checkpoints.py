"""Checkpoints: where an interrupted run goes on from.

A checkpoint is one safetensors file. Its header has a record (JSON) of the run and the position,
and the SHA-256 of the whole file, counted with zeros in that SHA-256's own place. Two files take
turns: the older of them is written anew, so that a whole one is there at any moment, also in a
bucket that the folder is copied to.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from training.runlog import RunLog

SUFFIX = ".safetensors"
PLACES = ("a", "b")
UNSIGNED = "0" * 64
SIGNATURE = "sha256"
LONGEST_HEADER_BYTES = 100_000_000
"""What safetensors itself accepts."""


class TornError(Exception):
    """A file is not the checkpoint that somebody wrote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """One that was read."""

    number: int
    """Counts a run's checkpoints; the highest is the newest."""
    position: dict[str, Any]
    """What JSON can hold of the run's state."""
    tensors: dict[str, Tensor]
    """The rest of it, in main memory."""


class Checkpoints:
    """The two newest checkpoints of one run, in a folder that other runs may use too."""

    def __init__(self, folder: Path, identity: Mapping[str, Any], log: RunLog) -> None:
        """Keep a run's checkpoints in a folder.

        Args:
            folder: made when the first one is written.
            identity: all that decides the run's result, as JSON; another one is another run.
            log: is told of files that cannot be used.
        """
        self.folder = folder
        text = json.dumps(identity, sort_keys=True)
        self.identity: dict[str, Any] = json.loads(text)
        self.run = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.log = log
        self.number = 0
        self.place = PLACES[-1]

    def newest(self) -> bytes:
        """Read the newest whole checkpoint of this run, and say why others are not used.

        Returns:
            The file, for `parse_checkpoint`; nothing if there is none.
        """
        found = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                record = read_record(path)
            except TornError as error:
                self._refuse(path, error)
                continue
            if record["identity"] == self.identity:
                found.append((record["number"], path))
            else:
                self._tell_of_another(path, record["identity"])
        for number, path in sorted(found, reverse=True):
            try:
                content = read_whole(path)
            except TornError as error:
                self._refuse(path, error)
                continue
            self.number, self.place = number, path.stem[-1]
            return content
        return b""

    def write(self, position: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
        """Write a checkpoint in the place of the older one.

        Whenever the process or the machine ends, each place has a whole file.

        Raises:
            OSError: there is no space or no right.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        number, place = self.number + 1, PLACES[1 - PLACES.index(self.place)]
        path = self._path(place)
        part = path.with_suffix(".part")
        record = {"number": number, "identity": self.identity, "position": dict(position)}
        metadata = {"record": json.dumps(record), SIGNATURE: UNSIGNED}
        try:
            save_file(storable(tensors), part, metadata=metadata)
            sign(part)
            part.replace(path)
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from None
        sync(self.folder)
        self.number, self.place = number, place
        return path

    def remove(self) -> None:
        """Remove this run's checkpoints; it has ended."""
        for path in self.folder.glob(f"{self.run}-*"):
            path.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, place: str) -> Path:
        return self.folder / f"{self.run}-{place}{SUFFIX}"

    def _refuse(self, path: Path, error: TornError) -> None:
        self.log.warn(f"{path} is not used: {error}. The checkpoint before it is, if there is one.")

    def _tell_of_another(self, path: Path, other: Mapping[str, Any]) -> None:
        text = (
            f"{path} is of another run ({difference(other, self.identity)}); it stays for that "
            "one. Delete it if that run is of no use any more."
        )
        self.log.event("checkpoint", text, left=str(path), reason=text)


def difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """What makes two runs two, in words: the first three of all differences."""
    flat = [flattened(identity) for identity in (theirs, ours)]
    names = [
        name
        for name in sorted({*flat[0], *flat[1]})
        if flat[0].get(name) != flat[1].get(name)
    ]  # fmt: skip
    shown = [f"{n} {brief(flat[0].get(n))}, here {brief(flat[1].get(n))}" for n in names[:3]]
    return "; ".join(shown) + ("; ..." if len(names) > 3 else "")


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested names and values, by the innermost name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flattened(value) if isinstance(value, Mapping) else {name: value}
    return flat


def brief(value: object) -> str:
    """A value, short enough for a sentence."""
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}..."


def storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as the format wants them: in main memory, contiguous, none twice."""
    stored, seen = {}, set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        if plain.data_ptr() in seen:
            plain = plain.clone()
        seen.add(plain.data_ptr())
        stored[name] = plain
    return stored


def sign(path: Path) -> None:
    """Write a file's SHA-256 into its header, and the file to the disk."""
    with path.open("r+b") as file:
        header = read_header(file)
        place = 8 + header.index(f'"{SIGNATURE}":"{UNSIGNED}"'.encode()) + len(SIGNATURE) + 4
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(place)
        file.write(digest.encode())
        file.flush()
        os.fsync(file.fileno())


def read_header(file: BinaryIO) -> bytes:
    """A safetensors file's header, which follows its length.

    Raises:
        TornError: the file is too short.
    """
    size = int.from_bytes(file.read(8), "little")
    header = file.read(size) if 0 < size <= LONGEST_HEADER_BYTES else b""
    if not header or len(header) < size:
        raise TornError("it is cut off")
    return header


def read_record(path: Path) -> dict[str, Any]:
    """A checkpoint's record, before anything proves it true.

    Raises:
        TornError: it has none.
    """
    try:
        with path.open("rb") as file:
            record = json.loads(json.loads(read_header(file))["__metadata__"]["record"])
        identity, number = dict(record["identity"]), int(record["number"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TornError(f"its header cannot be read ({error!r})") from None
    return {"identity": identity, "number": number}


def read_whole(path: Path) -> bytes:
    """Read a checkpoint, and prove that it is what was written.

    Raises:
        TornError: it was cut off or altered.
    """
    content = path.read_bytes()
    signed = str(header_of(content)["__metadata__"].get(SIGNATURE))
    unsigned = content.replace(signed.encode(), UNSIGNED.encode(), 1)
    if len(signed) != len(UNSIGNED) or hashlib.sha256(unsigned).hexdigest() != signed:
        raise TornError("it is torn or was altered: its content is not what its SHA-256 says")
    return content


def parse_checkpoint(content: bytes) -> Checkpoint:
    """Take a checkpoint apart that `Checkpoints.newest` has read."""
    record = json.loads(header_of(content)["__metadata__"]["record"])
    return Checkpoint(number=record["number"], position=record["position"], tensors=load(content))


def header_of(content: bytes) -> dict[str, Any]:
    """The header of a safetensors file as JSON."""
    size = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + size])
    return header


def sync(folder: Path) -> None:
    """Write a folder's names to the disk, so that a renamed file survives the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
