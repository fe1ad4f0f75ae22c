"""What the front process and its workers say to each other arrives as it was said."""

import socket

import pytest

from inference.frames import Frame, Unpacker, pack, receive

FRAMES: list[Frame] = [({"a": 1}, b""), ({"b": "é"}, b"\x00\xff" * 70_000), ({}, b"x")]


@pytest.mark.parametrize("piece", [1, 7, 65_536, 10**6])
def test_frames_arrive_whole_however_they_are_cut(piece: int) -> None:
    wire = b"".join(pack(head, body) for head, body in FRAMES)
    unpacker = Unpacker()

    got = [
        frame for at in range(0, len(wire), piece) for frame in unpacker.feed(wire[at : at + piece])
    ]

    assert got == FRAMES


def test_a_socket_that_ends_gives_nothing_more() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(pack({"a": 1}, b"body") + pack({"cut": "short"})[:-1])

        assert receive(theirs) == ({"a": 1}, b"body")
        assert receive(theirs) is None
