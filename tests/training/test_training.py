"""A run from pictures to a model folder."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from contract.model_card import read_card
from contract.network import build_classifier
from contract.preprocessing import eval_view
from training.answers import answers
from training.main import main
from training.runlog import RunLog

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]


def events(result: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [event for event in result["events"] if event["event"] == kind]


def weights(result: dict[str, Any]) -> str:
    digest: str = result["card"]["files"]["weights.safetensors"]
    return digest


def test_a_head_on_random_features_learns_three_colours(folder: Folder, run: Run) -> None:
    result = run(folder(), "--epochs=15")

    assert result["code"] == 0
    assert result["card"]["validation"]["accuracy"] >= 0.9
    assert result["card"]["test"]["accuracy"] >= 0.9


def test_finetuning_learns_and_leaves_batch_statistics_alone(folder: Folder, run: Run) -> None:
    result = run(
        folder(), "--method=finetune", "--epochs=4", "--batch-size=6", "--learning-rate=0.0003"
    )

    assert result["card"]["validation"]["accuracy"] >= 0.9
    assert len(events(result, "epoch")) == 4
    state = load_file(result["model"] / "weights.safetensors")
    assert torch.equal(state["backbone.bn1.running_var"], torch.ones(64))


@pytest.mark.parametrize("method", ["head", "finetune"])
def test_the_same_seed_gives_the_same_weights(method: str, folder: Folder, run: Run) -> None:
    data = folder(train=6, valid=2)
    arguments = (f"--method={method}", "--epochs=2", "--learning-rate=0.001")

    first, second = (run(data, *arguments, name=name) for name in ("first", "second"))
    other = run(data, *arguments, "--seed=8", name="other")

    assert first["card"] == second["card"]
    assert weights(other) != weights(first)


def test_each_layer_of_a_head_run_works_on_one_thread(folder: Folder, run: Run) -> None:
    seen: set[tuple[str, int]] = set()

    def look(layer: torch.nn.Module, _: object) -> None:
        seen.add((type(layer).__name__, torch.get_num_threads()))

    torch.set_num_threads(3)
    with torch.nn.modules.module.register_module_forward_pre_hook(look):
        run(folder(train=24, valid=4), "--epochs=1", "--hidden-units=16")

    assert {"ResNet", "Linear", "Classifier"} <= {layer for layer, _ in seen}
    assert {threads for _, threads in seen} == {1}


def test_all_epochs_are_made_and_told_with_the_same_keys(folder: Folder, run: Run) -> None:
    result = run(folder(train=6, valid=2), "--epochs=7")

    told = events(result, "epoch")
    assert [event["epoch"] for event in told] == [1, 2, 3, 4, 5, 6, 7]
    assert list(told[0]) == [
        "event", "epoch", "epochs", "train_loss", "valid_loss", "valid_accuracy",
        "best_valid_loss", "seconds",
    ]  # fmt: skip
    best = [event["best_valid_loss"] for event in told]
    assert best == [min(event["valid_loss"] for event in told[: i + 1]) for i in range(7)]


def test_the_test_split_does_not_touch_the_model(folder: Folder, run: Run) -> None:
    honest, poisoned = folder("honest"), folder("poisoned")
    test = poisoned / "test"
    (test / "001.rust").rename(test / "aside")
    (test / "002.sky").rename(test / "001.rust")
    (test / "aside").rename(test / "002.sky")

    a, b = run(honest, "--epochs=5", name="a"), run(poisoned, "--epochs=5", name="b")

    for key in ("files", "temperature", "golden", "validation"):
        assert a["card"][key] == b["card"][key]
    assert a["card"]["test"]["accuracy"] > b["card"]["test"]["accuracy"]


def test_the_test_split_is_asked_once_and_last(folder: Folder, run: Run) -> None:
    result = run(folder(), "--epochs=2")

    kinds = [event.get("doing", event["event"]) for event in result["events"]]
    assert kinds.count("test") == 1
    assert kinds[-2:] == ["test", "end"]


def test_no_test_split_gives_no_test_metrics(folder: Folder, run: Run) -> None:
    assert run(folder(train=6, valid=2), "--epochs=1")["card"]["test"] is None


def test_the_golden_answer_comes_back_from_the_files_alone(folder: Folder, run: Run) -> None:
    result = run(folder(), "--epochs=5", "--hidden-units=8")

    card = read_card(result["model"])
    classifier = build_classifier(card.network, len(card.classes))
    classifier.load_state_dict(load_file(result["model"] / "weights.safetensors"))
    view = eval_view((result["model"] / card.golden.file).read_bytes(), card.input)
    with torch.inference_mode():
        logits = classifier.eval()(torch.from_numpy(view)[None])[0]
    probabilities = (logits / card.temperature).softmax(0)
    assert card.classes[int(probabilities.argmax())] == card.golden.label
    assert float(probabilities.max()) == pytest.approx(card.golden.probability, abs=1e-5)


def test_validation_metrics_are_those_of_the_exported_weights(folder: Folder, run: Run) -> None:
    from training.data import read_data
    from training.loop import measure

    root = folder()
    result = run(root, "--epochs=5")
    card, data = read_card(result["model"]), read_data(root)
    classifier = build_classifier(card.network, len(card.classes))
    classifier.load_state_dict(load_file(result["model"] / "weights.safetensors"))

    valid = data.split("valid")
    log = RunLog(result["output"], io.StringIO())
    logits = answers(classifier, valid, card.input, log, "again")
    found = measure(logits, torch.tensor(data.numbers(valid)), card.temperature)

    assert found.loss == pytest.approx(card.validation.loss, abs=1e-5)
    assert found.accuracy == card.validation.accuracy


def test_command_line_file_and_sagemaker_give_the_same_model(
    folder: Folder, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder(train=6, valid=2)
    wanted = {
        "backbone": "resnet18", "image_size_px": 32, "hidden_units": 4, "epochs": 2,
        "learning_rate": 0.01,
    }  # fmt: skip
    spelt = [f"--{name.replace('_', '-')}={value}" for name, value in wanted.items()]
    by_line = run(data, "--weights=random", *spelt, name="line", quick=False)
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({**wanted, "epochs": 9}))
    arguments = ("--weights=random", f"--hyperparameters={file}", "--epochs=2")
    by_file = run(data, *arguments, name="file", quick=False)
    monkeypatch.setenv("SM_HPS", json.dumps({**wanted, "sagemaker_program": "train.py"}))
    monkeypatch.setenv("SM_CHANNEL_TRAINING", str(data))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "job" / "model"))
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(tmp_path / "job" / "output"))
    monkeypatch.setenv("SM_HOSTS", '["algo-1"]')
    toolkit = ["--epochs", "2", "--sagemaker_program", "train.py", "--weights", "random"]

    assert main(toolkit) == 0

    by_job = (tmp_path / "job" / "model" / "model.json").read_text()
    assert by_line["card"] == by_file["card"] == json.loads(by_job)


def test_a_second_run_replaces_the_model_and_leaves_nothing_beside_it(
    folder: Folder, run: Run
) -> None:
    data = folder(train=6, valid=2)
    first = weights(run(data, "--epochs=1"))

    second = run(data, "--epochs=1", "--seed=9")

    assert weights(second) != first
    read_card(second["model"])
    names = sorted(path.name for path in second["model"].iterdir())
    assert names == ["golden.jpg", "model.json", "weights.safetensors"]


def test_random_weights_are_said_aloud_and_in_the_card(
    folder: Folder, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(folder(train=6, valid=2), "--epochs=1")

    assert "RANDOM WEIGHTS" in capsys.readouterr().err
    assert result["card"]["provenance"]["pretrained_weights"] == "random"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_with_one_line(
    number: signal.Signals, code: int, folder: Folder, tmp_path: Path
) -> None:
    arguments = [f"--data={folder(train=6, valid=2)}", f"--model-dir={tmp_path / 'model'}"]
    arguments += [f"--output-dir={tmp_path / 'out'}", "--epochs=10000", "--weights=random"]
    arguments += ["--backbone=resnet18", "--image-size-px=32"]
    command = [sys.executable, "-m", "training.main", *arguments]
    env = {"PYTHONPATH": "src", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "epoch":
                break

        process.send_signal(number)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == code
    assert errors.splitlines()[-1].startswith("training: stopped by")
    assert "Traceback" not in errors
    assert not (tmp_path / "model" / "model.json").exists()
