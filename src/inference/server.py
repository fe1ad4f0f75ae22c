"""Serves a model: a front process that speaks HTTP, and workers that look at pictures.

The front binds the port, starts the zygote that forks the workers, and imports neither arrays
nor pictures: it answers /ping and turns requests away at once, however busy the workers are.
"""

import asyncio
import ctypes
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import Any

from contract.strict import ContractError
from inference.logs import JsonLines, log_as_json
from inference.nursery import Nursery
from inference.options import REFUSED, Options, read_options

DRAIN_SECONDS = 20
"""Requests in flight get so long after SIGTERM; SageMaker sends SIGKILL after 30 seconds."""
_QUIET_SECONDS = 0.2
"""For connections that were made before the port went deaf, to be taken in."""
_LOG_SECONDS = 0.05
_OPEN_FILES = 4096
_FILES_OF_OURS = 100
_SO_ATTACH_FILTER = 26
_LOG = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop.

    Returns:
        0 after SIGTERM or SIGINT, 3 when the model is not fit to serve, 1 when workers keep
        dying.
    """
    del argv  # everything comes from the environment, as containers have it
    log = log_as_json()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server listens to it
    try:
        options = read_options(os.environ)
        listener = listen(options.port)
    except (ContractError, OSError) as error:
        _LOG.error("refused to start", extra={"fields": {"reason": str(error)}})
        return REFUSED
    _LOG.info("listening", extra={"fields": {"port": listener.getsockname()[1]}})
    nursery = Nursery(options.model_folder)
    return asyncio.run(_serve(options, listener, nursery, log))


def listen(port: int) -> socket.socket:
    """Open the port, with as many files allowed as connections may need."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    # Named as TCP, or asyncio would not switch Nagle's algorithm off: replies would wait 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))  # noqa: S104 (SageMaker connects from outside the container)
    listener.listen(1024)
    return listener


async def _serve(
    options: Options, listener: socket.socket, nursery: Nursery, log: JsonLines
) -> int:
    # While the zygote imports its libraries, this process imports its own.
    import uvicorn

    from inference.app import App
    from inference.connections import IDLE_SECONDS, MAX_CONNECTIONS, Connection, Door
    from inference.crew import Crew
    from inference.jobs import Queue
    from inference.metrics import Metrics

    loop = asyncio.get_running_loop()
    ended: list[int] = []

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (uvicorn's)
            loop.call_soon_threadsafe(drain)

    def end(status: int) -> None:
        ended.append(status)
        server.should_exit = server.force_exit = True

    def drain() -> None:
        if not app.draining:
            app.draining = True
            _LOG.info("draining", extra={"fields": {"waiting": len(queue)}})
            tasks.append(loop.create_task(_go_deaf(listener, options.lame_duck_seconds, server)))

    metrics = Metrics()
    queue = Queue(options.queue_per_worker * options.workers, loop.time)
    crew = Crew(options, queue, metrics, nursery, end)
    app = App(options, queue, crew, metrics)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    door = Door(metrics, min(MAX_CONNECTIONS, files - _FILES_OF_OURS))
    connection: Any = partial(Connection, door)
    config = uvicorn.Config(
        app,
        access_log=False,
        http=connection,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=IDLE_SECONDS,
        ws="none",
    )
    server = Server(config)
    log.batched = True
    tasks = [loop.create_task(door.watch()), loop.create_task(_write_regularly(log))]
    crew.start()
    await server.serve(sockets=[listener])
    crew.stop()
    for task in tasks:
        task.cancel()
    log.batched = False
    log.flush()
    return ended[0] if ended else 0


async def _write_regularly(log: JsonLines) -> None:
    while True:
        await asyncio.sleep(_LOG_SECONDS)
        log.flush()


async def _go_deaf(listener: socket.socket, lame_duck_seconds: float, server: Any) -> None:
    """Let callers find another server first; then let nobody new in, and lose nobody who is.

    Closing a listening socket resets the connections that wait in its queue. So the kernel is
    told to drop every further packet to it, and what is in the queue is taken in before.
    """
    await asyncio.sleep(lame_duck_seconds)
    if sys.platform == "linux":
        drop = ctypes.create_string_buffer(b"\x06\0\0\0\0\0\0\0", 8)  # BPF: return 0 bytes
        program = (ctypes.c_char * 16)()
        ctypes.c_uint16.from_buffer(program, 0).value = 1
        ctypes.c_uint64.from_buffer(program, 8).value = ctypes.addressof(drop)
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))
        await asyncio.sleep(_QUIET_SECONDS)
    server.should_exit = True
