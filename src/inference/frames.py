"""What the front process and its workers say to each other: a JSON object and some bytes."""

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

Frame = tuple[dict[str, Any], bytes]
_SIZES = struct.Struct("!II")


def pack(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """One frame: both sizes, the object, the bytes."""
    text = json.dumps(head).encode()
    return _SIZES.pack(len(text), len(body)) + text + body


class Unpacker:
    """Bytes as they arrive, to whole frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add bytes; yield every frame that is complete."""
        self._data += data
        while len(self._data) >= _SIZES.size:
            text, body = _SIZES.unpack_from(self._data)
            middle = _SIZES.size + text
            end = middle + body
            if len(self._data) < end:
                return
            frame = json.loads(self._data[_SIZES.size : middle]), bytes(self._data[middle:end])
            del self._data[:end]
            yield frame


def receive(peer: socket.socket) -> Frame | None:
    """Wait for the next frame; None when the peer is gone."""
    sizes = _exactly(peer, _SIZES.size)
    if sizes is None:
        return None
    text, body = _SIZES.unpack(sizes)
    data = _exactly(peer, text + body)
    if data is None:
        return None
    return json.loads(data[:text]), bytes(data[text:])


def _exactly(peer: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view = memoryview(data)
    done = 0
    while done < size:
        count = peer.recv_into(view[done:])
        if count == 0:
            return None
        done += count
    return data
