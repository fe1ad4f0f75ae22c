"""More requests than the server can take, deadlines, and the end while callers keep asking."""

import http.client
import re
import signal
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.events.samples import picture
from tests.inference.serving import Server, serving, until
from tests.inference.slow_s3 import HELD, slow_s3

from contract.messages import ATTRIBUTES_HEADER

pytestmark = pytest.mark.slow
ONE = {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}


def metric(server: Server, name: str) -> float:
    """A sample of /metrics, by its whole name."""
    text = server.send("GET", "/metrics").text.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_full_queue_refuses_at_once_and_keeps_what_it_took(base_folder: Path) -> None:
    with (
        slow_s3() as s3,
        serving(base_folder, **ONE, **s3.environment, QUEUE_PER_WORKER="2") as server,
        ThreadPoolExecutor(3) as callers,
    ):
        server.wait_for("ready")
        accepted = [callers.submit(server.invoke, HELD, "application/json")]
        s3.wait_for_reader()
        accepted += [callers.submit(server.invoke, picture("rgb.jpg")) for _ in range(2)]
        server.ping_until(200, queue=2)

        refused = [server.invoke(picture("rgb.jpg")) for _ in range(20)]
        s3.gate.set()

        assert {(reply.status, reply.headers["retry-after"]) for reply in refused} == {(503, "1")}
        assert [caller.result().status for caller in accepted] == [200, 200, 200]
        assert metric(server, 'kennel_rejected_total{reason="unavailable"}') == 20
        assert metric(server, 'kennel_requests_total{code="200"}') == 3


def test_a_refusal_does_not_wait_for_the_body(base_folder: Path) -> None:
    with (
        slow_s3() as s3,
        serving(base_folder, **ONE, **s3.environment, QUEUE_PER_WORKER="0") as server,
        ThreadPoolExecutor(1) as callers,
    ):
        server.wait_for("ready")
        callers.submit(server.invoke, HELD, "application/json")
        s3.wait_for_reader()

        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as caller:
            caller.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")

            assert status_of_next(caller) == 503
            # What is left of the refused request is no new one, and the connection stays.
            caller.sendall(b"GET /none" + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert status_of_next(caller) == 200
        s3.gate.set()


def test_a_request_whose_time_is_over_is_answered_and_never_run(base_folder: Path) -> None:
    with (
        slow_s3() as s3,
        serving(base_folder, **ONE, **s3.environment) as server,
        ThreadPoolExecutor(1) as callers,
    ):
        server.wait_for("ready")
        held = callers.submit(server.invoke, HELD, "application/json")
        s3.wait_for_reader()

        late = server.invoke(
            picture("rgb.jpg"), **{ATTRIBUTES_HEADER: "request_id=late;deadline_ms=200"}
        )
        s3.gate.set()

        assert (late.status, late.json["error"]["code"]) == (504, "timeout")
        assert held.result().status == 200
        assert server.invoke(picture("rgb.jpg")).status == 200
        assert server.wait_for("request", request_id="late")["worker"] is None
        assert metric(server, 'kennel_stage_seconds_count{stage="predict"}') == 2


def test_an_answer_that_comes_too_late_is_none(base_folder: Path) -> None:
    with (
        slow_s3() as s3,
        serving(base_folder, **ONE, **s3.environment, DEADLINE_MS="1500") as server,
    ):
        server.wait_for("ready")

        reply = server.invoke(HELD, "application/json")
        s3.gate.set()

        assert reply.status == 504
        assert server.invoke(picture("rgb.jpg")).status == 200


def test_a_caller_who_left_is_not_worked_for(base_folder: Path) -> None:
    body = picture("rgb.jpg")
    with (
        slow_s3() as s3,
        serving(base_folder, **ONE, **s3.environment) as server,
        ThreadPoolExecutor(1) as callers,
    ):
        server.wait_for("ready")
        held = callers.submit(server.invoke, HELD, "application/json")
        s3.wait_for_reader()

        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as caller:
            caller.sendall(request(body))
            server.ping_until(200, queue=1)
        server.ping_until(200, queue=0)
        s3.gate.set()

        assert held.result().status == 200
        assert server.wait_for("request", status=499)["worker"] is None


def status_of_next(caller: socket.socket) -> int:
    """Read one whole reply."""
    reply = http.client.HTTPResponse(caller)
    reply.begin()
    reply.read()
    return reply.status


def request(body: bytes, **headers: str) -> bytes:
    """A whole request on the wire."""
    lines = [
        "POST /invocations HTTP/1.1",
        "Host: x",
        "Content-Type: image/jpeg",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(kw_only=True, slots=True)
class Told:
    """What became of the requests of one caller."""

    answered: int = 0
    lost: int = 0


def keep_asking(port: int, keep_alive: bool) -> Told:
    """Send requests until nobody listens any more."""
    told = Told()
    headers: Mapping[str, str] = {} if keep_alive else {"Connection": "close"}
    whole = request(picture("rgb.jpg"), **headers)
    while True:
        try:
            caller = socket.create_connection(("127.0.0.1", port), timeout=60)
        except (ConnectionError, TimeoutError):
            return told
        with caller:
            while True:
                try:
                    caller.sendall(whole)
                    reply = http.client.HTTPResponse(caller)
                    reply.begin()
                    reply.read()
                except (OSError, http.client.HTTPException):
                    told.lost += 1
                    break
                told.answered += 1
                assert reply.status in (200, 503), reply.status
                if reply.will_close:
                    break


def test_sigterm_under_load_loses_no_request(base_folder: Path) -> None:
    with (
        serving(base_folder, LAME_DUCK_MS="2000") as server,
        ThreadPoolExecutor(8) as callers,
    ):
        server.wait_for("ready")
        asking = [
            callers.submit(keep_asking, server.port, keep_alive=number % 2 == 0)
            for number in range(8)
        ]
        server.wait_for("request", count=50, status=200)

        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(timeout=60)

        told = [caller.result() for caller in asking]
        assert status == 0
        assert [caller.lost for caller in told] == [0] * 8
        assert all(caller.answered for caller in told)


def test_a_server_that_is_about_to_end_still_answers_and_says_so(base_folder: Path) -> None:
    with serving(base_folder, LAME_DUCK_MS="10000") as server:
        server.wait_for("ready")

        server.process.send_signal(signal.SIGTERM)
        ping = server.ping_until(503)
        reply = server.invoke(picture("rgb.jpg"))

        assert ping.json["status"] == "draining"
        assert (reply.status, reply.headers["connection"]) == (200, "close")


def test_sigterm_finishes_the_request_in_flight_and_ends_with_zero(base_folder: Path) -> None:
    with (
        slow_s3() as s3,
        serving(base_folder, **ONE, **s3.environment, LAME_DUCK_MS="0") as server,
        ThreadPoolExecutor(2) as callers,
    ):
        server.wait_for("ready")
        asked = [callers.submit(server.invoke, HELD, "application/json")]
        s3.wait_for_reader()
        asked.append(callers.submit(server.invoke, picture("rgb.jpg")))
        server.ping_until(200, queue=1)

        server.process.send_signal(signal.SIGTERM)
        until(lambda: can_connect(server.port), lambda connected: not connected)
        s3.gate.set()

        assert [caller.result().status for caller in asked] == [200, 200]
        assert server.process.wait(timeout=60) == 0


def can_connect(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except (ConnectionError, TimeoutError):
        return False
    return True


def test_sigterm_while_loading_ends_with_zero(base_folder: Path) -> None:
    with serving(base_folder) as server:
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(timeout=60) == 0


def test_metrics_count_what_happened(base_folder: Path) -> None:
    with serving(base_folder, **ONE) as server:
        server.wait_for("ready")
        server.invoke(picture("rgb.jpg"))
        server.invoke(b"no picture")

        assert metric(server, 'kennel_requests_total{code="200"}') == 1
        assert metric(server, 'kennel_requests_total{code="415"}') == 1
        assert metric(server, "kennel_request_seconds_count") == 1
        assert metric(server, "kennel_workers_ready") == 1
        assert metric(server, "kennel_worker_deaths_total") == 0


def test_many_callers_at_once_get_the_same_answer(base_folder: Path) -> None:
    answers: set[bytes] = set()
    lock = threading.Lock()
    with serving(base_folder, QUEUE_PER_WORKER="100") as server, ThreadPoolExecutor(8) as callers:

        def ask(_: int) -> int:
            reply = server.invoke(picture("rgb.jpg"))
            with lock:
                answers.add(reply.text)
            return reply.status

        assert set(callers.map(ask, range(32))) == {200}

    assert len(answers) == 1
