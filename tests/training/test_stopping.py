"""A run that is asked to end leaves a checkpoint, and goes on from it."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from training.stopping import spot_notice

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]
SHORT = ("--backbone=shufflenet_v2_x0_5", "--batch-size=4", "--learning-rate=0.01")
HEAD = (*SHORT, "--epochs=3")
FINETUNE = (*SHORT, "--method=finetune", "--epochs=2", "--ema-decay=0.9")
NOTICE = '{"action": "terminate", "time": "2026-11-22T17:00:00Z"}'


@contextmanager
def raised(
    number: signal.Signals, call: int, doing: str = "step", times: int = 1
) -> Iterator[None]:
    """Sends this process a signal in its so-manyeth step, look at a batch, or look after a step."""
    calls = {"step": 0, "look": 0, "judgement": 0}

    def look(module: torch.nn.Module, _: object) -> None:
        if type(module).__name__ not in ("Classifier", "ShuffleNetV2"):
            return
        looking = threading.current_thread() is not threading.main_thread()
        now = {
            "step": type(module).__name__ == "Classifier" and torch.is_grad_enabled(),
            "look": looking,
            "judgement": looking and calls["step"] > 0,
        }
        for kind, happens in now.items():
            calls[kind] += happens
        if now[doing] and calls[doing] == call:
            for _ in range(times):
                signal.raise_signal(number)

    with torch.nn.modules.module.register_module_forward_pre_hook(look):
        yield


def told(result: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [event for event in result["events"] if event["event"] == kind]


@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")]
)
def test_a_signal_in_a_step_ends_it_saves_and_is_one_line(
    number: signal.Signals, code: int, name: str, folder: Folder, run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data = folder(train=4, valid=2)
    whole = run(data, *FINETUNE, name="whole")
    capsys.readouterr()

    with raised(number, 2):
        stopped = run(data, *FINETUNE)

    assert stopped["code"] == code
    assert stopped["card"] is None
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"training: stopped by {name}; the model folder is as it was. "
        "The same command goes on from epoch 1, step 3."
    )
    resumed = run(data, *FINETUNE)
    assert [(e["epoch"], e["step"]) for e in told(resumed, "resumed")] == [(1, 2)]
    assert resumed["card"] == whole["card"]
    assert [e["epoch"] for e in told(resumed, "epoch")] == [1, 2]
    assert len(told(resumed, "start")) == 1


def test_a_signal_while_an_epoch_is_judged_does_not_wait(folder: Folder, run: Run) -> None:
    data = folder(train=4, valid=2)
    whole = run(data, *FINETUNE, name="whole")

    with raised(signal.SIGTERM, 1, "judgement"):
        stopped = run(data, *FINETUNE)

    assert stopped["code"] == 143
    assert told(stopped, "epoch") == []
    resumed = run(data, *FINETUNE)
    assert [(e["epoch"], e["step"]) for e in told(resumed, "resumed")] == [(1, 3)]
    assert resumed["card"] == whole["card"]


def test_a_signal_before_the_first_step_leaves_nothing(
    folder: Folder, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with raised(signal.SIGTERM, 1, "look"):
        stopped = run(folder(train=4, valid=2), *HEAD)

    assert stopped["code"] == 143
    assert "The same command begins anew; nothing was learnt yet." in capsys.readouterr().err


def test_a_second_ctrl_c_does_not_wait_for_the_step(
    folder: Folder, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.stopping.SAME_SECONDS", 0.0)
    data = folder(train=4, valid=2)
    whole = run(data, *FINETUNE, name="whole")

    with raised(signal.SIGINT, 5, times=2):  # in the second epoch
        stopped = run(data, *FINETUNE)

    assert stopped["code"] == 130
    error = capsys.readouterr().err
    assert "stopped by a second Ctrl-C" in error
    assert "goes on from epoch 2." in error
    assert run(data, *FINETUNE)["card"] == whole["card"]


def test_one_ctrl_c_that_comes_by_two_ways_is_one(folder: Folder, run: Run) -> None:
    data = folder(train=4, valid=2)

    with raised(signal.SIGINT, 2, times=2):
        run(data, *FINETUNE)

    resumed = run(data, *FINETUNE)
    assert [(e["epoch"], e["step"]) for e in told(resumed, "resumed")] == [(1, 2)]


def test_signals_are_heard_as_before_when_the_run_is_over(folder: Folder, run: Run) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    run(folder(train=4, valid=2), *HEAD)

    assert {number: signal.getsignal(number) for number in before} == before


def test_an_interrupted_run_goes_on_elsewhere_with_its_curve(
    folder: Folder, run: Run, tmp_path: Path
) -> None:
    data, checkpoints = folder(train=4, valid=2), tmp_path / "kept"
    where = f"--checkpoint-dir={checkpoints}"
    with raised(signal.SIGTERM, 5):
        run(data, *FINETUNE, where, name="first")

    elsewhere = run(data, *FINETUNE, where, name="second")

    assert [e["epoch"] for e in told(elsewhere, "epoch")] == [1, 2]
    assert not checkpoints.exists()


def test_a_torn_checkpoint_is_said_and_the_one_before_it_used(
    folder: Folder, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, kept = folder(train=4, valid=2), tmp_path / "run" / "checkpoint"
    whole = run(data, *FINETUNE, name="whole")
    with raised(signal.SIGTERM, 5):
        run(data, *FINETUNE)
    newest = max(kept.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:-1])

    resumed = run(data, *FINETUNE)

    assert f"{newest} is not used: it is torn" in capsys.readouterr().err
    assert [(e["epoch"], e["step"]) for e in told(resumed, "resumed")] == [(2, 0)]
    assert resumed["card"] == whole["card"]


class MetadataService(BaseHTTPRequestHandler):
    """IMDSv2: a token first, then the notice once there is one."""

    notice = False

    def do_PUT(self) -> None:
        assert self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.reply(200 if self.path == "/latest/api/token" else 404, "token")

    def do_GET(self) -> None:
        right = self.headers["X-aws-ec2-metadata-token"] == "token"
        there = self.path == "/latest/meta-data/spot/instance-action" and type(self).notice
        self.reply(401 if not right else 200 if there else 404, NOTICE if there else "none")

    def reply(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), MetadataService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        MetadataService.notice = False
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_machine_that_stays_has_no_notice(service: str) -> None:
    assert spot_notice(service) is None
    MetadataService.notice = True
    assert json.loads(spot_notice(f"{service}/") or "")["action"] == "terminate"


# The notice may come just when a file was opened, before it is in anybody's hands to be closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_spot_notice_is_heard_as_sigterm(
    service: str, folder: Folder, run: Run, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("WATCH_SPOT_NOTICES", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service)
    MetadataService.notice = True

    stopped = run(folder(train=4, valid=2), *SHORT, "--epochs=10000")

    assert stopped["code"] == 143
    assert f"stopped by a spot notice ({NOTICE})" in capsys.readouterr().err


def test_what_was_measured_before_an_interruption_goes_with_the_checkpoint(
    folder: Folder, run: Run, tmp_path: Path
) -> None:
    data, figures = folder(train=4, valid=2), '{"milliseconds": {"fp32": 1.0}}\n'
    where, cache = f"--checkpoint-dir={tmp_path / 'kept'}", tmp_path / "run" / "cache" / "speed"
    cache.mkdir(parents=True)
    (cache / "some_network.json").write_text(figures)
    with raised(signal.SIGTERM, 3):
        run(data, *FINETUNE, where)

    run(data, *FINETUNE, where, name="elsewhere")

    assert (tmp_path / "elsewhere/cache/speed/some_network.json").read_text() == figures
