"""The port, and the connections that it gives."""

import asyncio
import socket

from inference.server import listen


def test_replies_are_not_held_back_for_the_callers_acknowledgement() -> None:
    async def nodelay_of_a_connection() -> int:
        made: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ours = writer.get_extra_info("socket")
            made.set_result(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        server = await asyncio.start_server(taken, sock=listen(0))
        port = server.sockets[0].getsockname()[1]
        async with server:
            _, caller = await asyncio.open_connection("127.0.0.1", port)
            found = await made
            caller.close()
            await caller.wait_closed()
        return found

    assert asyncio.run(nodelay_of_a_connection()) != 0
