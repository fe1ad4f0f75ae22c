"""The arithmetic between samples and tables."""

import json

import pytest
from benchmarks.report import markdown
from benchmarks.serving.__main__ import main
from benchmarks.serving.figures import figures, percentile, times
from benchmarks.serving.load import Load, Sample
from benchmarks.serving.rows import find_row, spread, statuses, validity
from benchmarks.serving.running import free_port
from benchmarks.serving.sides import FASTAPI, LITSERVE, TORCHSERVE, first_label, ours
from benchmarks.serving.tools import Told, read_hey, read_wrk

from contract.strict import ContractError


def load_of(*samples: tuple[float, float, int], lag: float = 0.0) -> Load:
    """Scheduled, done and status of each request."""
    made = [
        Sample(scheduled=at, started=at + lag, done=done, status=status)
        for at, done, status in samples
    ]
    return Load(samples=made, seconds=2.0, open_loop=True)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 5), (0.9, 9), (0.91, 10), (0.99, 10), (1.0, 10), (0.0, 1)]
)
def test_a_percentile_is_the_smallest_value_that_covers_the_share(
    share: float, expected: int
) -> None:
    assert percentile([3, 1, 2, 10, 9, 8, 4, 5, 7, 6], share) == expected


def test_the_percentile_of_nothing_is_zero() -> None:
    assert times([]).p99 == 0.0 == times([]).most


def test_goodput_counts_answers_inside_the_deadline_and_names_the_late_ones() -> None:
    load = load_of((0.0, 0.1, 200), (0.0, 0.5, 200), (1.0, 1.05, 200), (1.0, 1.01, 503))

    found = figures(load, deadline_seconds=0.2)

    assert (found.rate, found.late, found.answers) == (1.0, 1, 3)
    assert found.answered.most == pytest.approx(500)
    assert found.rejected.most == pytest.approx(10)


def test_without_a_deadline_every_answer_counts() -> None:
    assert figures(load_of((0.0, 9.0, 200), (0.0, 0.1, 200))).rate == 1.0


@pytest.mark.parametrize(("lag_seconds", "valid"), [(0.0049, True), (0.0051, False)])
def test_a_late_client_is_said_in_the_table(lag_seconds: float, valid: bool) -> None:
    found = figures(load_of((0.0, 0.1, 200), lag=lag_seconds))

    assert found.valid is valid
    assert ("NOT VALID" in validity(found)) is not valid


def test_statuses_are_named_with_their_counts() -> None:
    assert statuses(figures(load_of((0, 1, 200), (0, 1, 503), (0, 1, 200)))) == "200: 2, 503: 1"


def test_a_table_is_markdown_with_medians_and_ranges() -> None:
    table = markdown(["side", "ms"], [["ours", spread([2.0, 1.0, 9.0])], ["other", spread([3.0])]])

    assert table == "| side | ms |\n|---|---|\n| ours | 2.0 (1.0 to 9.0) |\n| other | 3.0 |\n"


def test_a_row_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ContractError, match=r"'speed' is not one of kills, lambda, open-loop"):
        find_row("speed")


def test_a_run_of_such_a_row_ends_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "speed", "--no-record"]) == 2

    assert "'speed' is not one of" in capsys.readouterr().err


def test_wrk_is_read() -> None:
    text = (
        "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency   110.37ms\n"
        "  Latency Distribution\n     50%  980.00us\n     75%    1.00s \n     90%  112.00ms\n"
        "     99%    1.20s\n  27 requests in 3.00s, 5.41KB read\nRequests/sec:      8.99\n"
    )

    assert read_wrk(text) == Told(rate=8.99, p50_ms=0.98, p99_ms=1200.0)


@pytest.mark.parametrize("bad", ["  Non-2xx or 3xx responses: 4", "  Socket errors: timeout 3"])
def test_a_tools_run_with_failures_is_refused(bad: str) -> None:
    with pytest.raises(ContractError, match=bad.strip()):
        read_wrk(f"{bad}\nRequests/sec: 9\n     50%  1.00ms\n     99%  1.00ms\n")


def test_hey_is_read_and_its_failures_are_refused() -> None:
    text = "  Requests/sec:\t8.5000\n  50%% in 0.1170 secs\n  99%% in 0.2000 secs\n"

    assert read_hey(f"{text}  [200]\t27 responses\n") == Told(rate=8.5, p50_ms=117, p99_ms=200)
    with pytest.raises(ContractError, match="503"):
        read_hey(f"{text}  [200]\t20 responses\n  [503]\t7 responses\n")


def test_each_sides_first_label_is_found_in_its_own_reply() -> None:
    classes = ["pug", "collie"]
    kennel = {"model_version": "1", "predictions": [{"label": "collie", "probability": 1.0}]}

    assert first_label(ours(), json.dumps(kennel).encode(), classes) == "collie"
    assert first_label(TORCHSERVE, b'{"1": 0.9, "0": 0.1}', classes) == "collie"
    for side in (FASTAPI, LITSERVE):
        assert first_label(side, b'{"classes": [1, 0]}', classes) == "collie"


def test_a_form_holds_the_picture_between_its_lines() -> None:
    body, kind = LITSERVE.body(b"\xff\xd8picture")

    boundary = kind.partition("boundary=")[2].encode()
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert b'name="content"' in body
    assert body.endswith(b"\r\n\r\n\xff\xd8picture\r\n--" + boundary + b"--\r\n")


def test_a_free_port_leaves_room_for_the_two_after_it() -> None:
    assert 0 < free_port() <= 65533
