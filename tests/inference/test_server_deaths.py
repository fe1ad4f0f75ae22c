"""Processes of the server are killed, frozen and kept busy: the others go on."""

import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest
from tests.events.samples import picture
from tests.inference.serving import Server, serving, until
from tests.inference.slow_s3 import HELD, slow_s3

pytestmark = pytest.mark.slow
TWO = {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
ONE = {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}


def wait_until_complete(server: Server) -> None:
    """Both workers are ready."""
    server.ping_until(200, workers={"ready": 2, "total": 2})


def ask(server: Server, body: bytes = picture("rgb.jpg"), kind: str = "image/jpeg") -> int:
    """The status of one request; 0 when there was no answer."""
    try:
        return server.invoke(body, kind).status
    except (OSError, HTTPException):
        return 0


def test_only_requests_inside_killed_workers_fail_and_capacity_comes_back(
    base_folder: Path,
) -> None:
    kills = 5
    with serving(base_folder, **TWO) as server, ThreadPoolExecutor(4) as callers:
        wait_until_complete(server)
        done = threading.Event()

        def keep_asking(_: int) -> list[int]:
            statuses = []
            while not done.is_set():
                statuses.append(ask(server))
            return statuses

        asking = [callers.submit(keep_asking, number) for number in range(4)]
        try:
            for kill in range(1, kills + 1):
                victim = until(server.workers, lambda pids: len(pids) == 2)[kill % 2]
                os.kill(victim, signal.SIGKILL)
                death = server.wait_for("the worker died; starting another", pid=victim)
                assert death["status"] == -signal.SIGKILL
                server.wait_for("ready", count=2 + kill)
        finally:
            done.set()
        statuses = [status for caller in asking for status in caller.result()]

        failed = [status for status in statuses if status != 200]
        assert set(failed) <= {503}
        assert len(failed) <= kills
        assert len(statuses) > len(failed)
        wait_until_complete(server)


def test_the_request_inside_a_killed_worker_is_told_to_come_back(base_folder: Path) -> None:
    with (
        slow_s3() as s3,
        serving(base_folder, **ONE, **s3.environment) as server,
        ThreadPoolExecutor(2) as callers,
    ):
        server.wait_for("ready")
        inside = callers.submit(server.invoke, HELD, "application/json")
        s3.wait_for_reader()
        waiting = callers.submit(server.invoke, picture("rgb.jpg"))
        server.ping_until(200, queue=1)

        os.kill(server.workers()[0], signal.SIGKILL)

        reply = inside.result()
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert "died on this request" in reply.json["error"]["message"]
        assert waiting.result().status == 200
        server.wait_for("request", status=503, code="unavailable")


def test_ping_is_false_while_no_worker_is_there_and_true_again_after(base_folder: Path) -> None:
    with serving(base_folder, **TWO) as server:
        wait_until_complete(server)
        os.kill(server.zygote(), signal.SIGSTOP)  # so that none comes back yet

        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        down = server.ping_until(503)
        os.kill(server.zygote(), signal.SIGCONT)

        assert down.json["status"] == "no worker is ready"
        assert down.json["workers"] == {"ready": 0, "total": 2}
        wait_until_complete(server)
        assert ask(server) == 200


def test_a_worker_that_hangs_is_replaced_and_its_request_answered(base_folder: Path) -> None:
    with (
        slow_s3() as s3,
        serving(base_folder, **ONE, **s3.environment, JOB_MS="2000", DEADLINE_MS="60000") as server,
    ):
        server.wait_for("ready")

        reply = server.invoke(HELD, "application/json")

        assert reply.status == 504
        ended = server.wait_for("ending a worker")
        assert ended["reason"] == "it is busy with one request for too long"
        server.wait_for("ready", count=2)
        assert ask(server) == 200


def test_a_frozen_worker_is_noticed_and_replaced(base_folder: Path) -> None:
    with serving(base_folder, **ONE, HEARTBEAT_MS="1000") as server:
        server.wait_for("ready")
        (frozen,) = server.workers()

        os.kill(frozen, signal.SIGSTOP)

        ended = server.wait_for("ending a worker", pid=frozen)
        assert ended["reason"] == "it does not answer"
        server.wait_for("ready", count=2)
        assert ask(server) == 200


def test_a_killed_zygote_is_replaced_while_its_workers_go_on(base_folder: Path) -> None:
    with serving(base_folder, **TWO) as server:
        wait_until_complete(server)
        workers = server.workers()

        os.kill(server.zygote(), signal.SIGKILL)
        server.wait_for("the zygote died; starting another")

        assert ask(server) == 200
        assert all(Path(f"/proc/{pid}").exists() for pid in workers)
        os.kill(workers[0], signal.SIGKILL)
        server.wait_for("the worker died; starting another", pid=workers[0], status=None)
        server.wait_for("ready", count=3)
        wait_until_complete(server)


def test_a_frozen_zygote_is_replaced_when_a_worker_is_wanted(base_folder: Path) -> None:
    with serving(base_folder, **ONE) as server:
        server.wait_for("ready")
        worker, zygote = server.workers()[0], server.zygote()

        os.kill(zygote, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)

        server.wait_for("the zygote died; starting another")
        server.wait_for("ready", count=2)
        assert ask(server) == 200


def test_a_killed_front_takes_all_along_also_a_worker_that_is_busy(base_folder: Path) -> None:
    with (
        slow_s3() as s3,
        serving(base_folder, **TWO, **s3.environment) as server,
        ThreadPoolExecutor(1) as callers,
    ):
        wait_until_complete(server)
        family = [server.zygote(), *server.workers()]
        inside = callers.submit(ask, server, HELD, "application/json")
        s3.wait_for_reader()

        server.process.kill()
        server.process.wait()

        # The log is a pipe that all hold: it ends when all are gone.
        with server.changed:
            assert server.changed.wait_for(lambda: server.ended, timeout=60)
        assert not any(Path(f"/proc/{pid}/exe").exists() for pid in family)
        assert (inside.result(), s3.gate.is_set()) == (0, False)


def test_workers_that_never_become_ready_end_the_server(base_folder: Path) -> None:
    with serving(base_folder, LOAD_MS="1") as server:
        status = server.process.wait(timeout=60)

        assert status == 1
        assert server.wait_for("gave up")["reason"] == "no worker became ready"


def test_a_worker_that_holds_too_much_memory_is_replaced(base_folder: Path) -> None:
    with serving(base_folder, **ONE, WORKER_MEMORY_MB="16") as server:
        ended = server.wait_for("ending a worker")

        assert re.fullmatch(r"it holds \d+ MiB; at most 16 are allowed", ended["reason"])
        server.wait_for("the worker died; starting another")


def test_the_front_process_holds_neither_arrays_nor_networks_nor_pictures(
    base_folder: Path,
) -> None:
    with serving(base_folder) as server:
        server.wait_for("ready")
        assert ask(server) == 200

        front = Path(f"/proc/{server.process.pid}/maps").read_text().lower()
        worker = Path(f"/proc/{server.workers()[0]}/maps").read_text().lower()

    heavy = ("/numpy", "/torch", "/openvino", "/pil/")
    assert not any(name in front for name in heavy)
    assert "/numpy" in worker


def test_workers_compute_in_one_thread_and_stay_on_a_core_each(base_folder: Path) -> None:
    cores = os.sched_getaffinity(0)
    with serving(base_folder, SAGEMAKER_MODEL_SERVER_WORKERS=str(len(cores))) as server:
        server.wait_for("ready", count=len(cores))

        own = [os.sched_getaffinity(pid) for pid in server.workers()]
        environment = Path(f"/proc/{server.workers()[0]}/environ").read_bytes()

    assert sorted(own, key=min) == [{core} for core in sorted(cores)]
    assert b"OMP_NUM_THREADS=1" in environment
