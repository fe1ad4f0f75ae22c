"""The page: whole, self-contained, honest about what is missing."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.conftest import COLOURS, QUICK, draw

from contract.model_card import read_card, write_card
from training.main import main as train
from training.predictions import Answers, Predictions
from training.report.__main__ import main
from training.report.gather import gather, last_run
from training.report.latency import measure_latency
from training.report.page import render
from training.runtimes.judge import absent

Run = Callable[..., dict[str, Any]]
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a browser would ask for, the text, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "action", "data", "poster"):
                self.asked.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One trained model, with its pictures and what the run said."""
    root = tmp_path_factory.mktemp("origin")
    for number, (label, colour) in enumerate(COLOURS.items()):
        for place, (split, count) in enumerate({"train": 12, "valid": 4, "test": 4}.items()):
            for index in range(count):
                seed = 10_000 * number + 1000 * place + index
                draw(root / "data" / split / label / f"{index}.jpg", colour, seed)
    folders = {"data": "data", "model-dir": "model", "output-dir": "output", "cache-dir": "cache",
               "checkpoint-dir": "checkpoints"}  # fmt: skip
    arguments = [f"--{name}={root / home}" for name, home in folders.items()]
    assert train([*arguments, *QUICK, "--epochs=3", "--seed=9"]) == 0
    return root


@pytest.fixture
def trained(origin: Path, tmp_path: Path) -> dict[str, Any]:
    """A copy of it, to be changed."""
    homes = {name: tmp_path / "trained" / name for name in ("data", "model", "output")}
    for name, home in homes.items():
        shutil.copytree(origin / name, home)
    return {**homes, "card": json.loads((homes["model"] / "model.json").read_text())}


def made(result: dict[str, Any], *more: str) -> Page:
    out = result["output"] / "report.html"
    folders = [f"--model-dir={result['model']}", f"--output-dir={result['output']}"]
    assert main([*folders, f"--data={result['data']}", f"--out={out}", "--no-latency", *more]) == 0
    page = Page(out.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_the_page_asks_for_nothing_outside_itself(trained: dict[str, Any]) -> None:
    page = made(trained)

    assert page.asked
    assert all(asked.startswith(("#", "data:image/jpeg;base64,")) for asked in page.asked)
    text = (trained["output"] / "report.html").read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)


def test_the_page_says_what_the_card_says(trained: dict[str, Any]) -> None:
    page, card = made(trained), trained["card"]

    assert f"{100 * card['test']['accuracy']:.1f} % test accuracy" in page.text
    assert f"{100 * card['validation']['accuracy']:.1f} % validation accuracy" in page.text
    for part in ("data_sha256", "code_sha256"):
        assert card["provenance"][part] in page.text
    assert card["files"]["weights.safetensors"] in page.text
    assert f"{card['temperature']:.4f}" in page.text
    assert "Nothing odd was found" in page.text
    assert f"torch {card['provenance']['libraries']['torch']}" in page.text
    assert "HYPERPARAMETERS=settings.json WEIGHTS=random" in page.text
    assert "seed 9 changed" in page.text


def test_the_settings_on_the_page_train_the_same_model_again(
    trained: dict[str, Any], run: Run, tmp_path: Path
) -> None:
    made(trained)
    text = (trained["output"] / "report.html").read_text()
    block = re.findall(r"<pre>(\{.*?\})</pre>", text, re.DOTALL)[0].replace("&#34;", '"')
    (tmp_path / "settings.json").write_text(block)

    again = run(
        trained["data"], f"--hyperparameters={tmp_path / 'settings.json'}", "--weights=random",
        name="again", quick=False,
    )  # fmt: skip

    assert again["card"] == trained["card"]


def test_the_page_has_the_runtimes_and_their_figures(trained: dict[str, Any]) -> None:
    before = made(trained).text
    card = read_card(trained["model"])
    refused = absent("int8", "it answers 1.20 % of the pictures otherwise", 0.25)
    refused = dataclasses.replace(refused, accuracy=0.9123, agreement=0.988, median_ms=9.25)
    write_card(dataclasses.replace(card, runtimes=(refused,)), trained["model"])

    text = made(trained).text

    assert "There are none yet" in before
    assert "There are none yet" not in text
    for figure in ("at most 0.25 points", "openvino-int8", "91.23", "98.80", "9.25"):
        assert figure in text
    assert "refused: it answers 1.20 % of the pictures otherwise" in text


def test_a_picture_that_is_gone_is_said_to_be(trained: dict[str, Any]) -> None:
    shutil.rmtree(trained["data"] / "test")

    page = made(trained)

    assert "not in" in page.text
    assert "any more" in page.text


def test_a_fetched_model_without_metrics_has_a_page_that_says_so(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("metrics.jsonl", "predictions.json", "data_report.json"):
        (trained["output"] / name).unlink()

    page = made(trained)

    assert "metrics.jsonl is missing" in page.text
    assert "predictions.json is missing" in page.text
    assert "No pictures are counted" in page.text
    assert "test accuracy" in page.text
    assert "? findings" in page.text
    assert "metrics.jsonl is missing" in capsys.readouterr().err


def test_answers_of_another_model_are_not_shown_as_this_one_s(
    trained: dict[str, Any], run: Run
) -> None:
    other = run(trained["data"], "--epochs=1", "--seed=10", name="other")
    shutil.copytree(other["model"], trained["model"], dirs_exist_ok=True)

    page = made(trained)

    assert "the answers of another model" in page.text


def test_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([f"--model-dir={tmp_path}", f"--output-dir={tmp_path}", f"--data={tmp_path}"])

    assert code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "make train" in error


def test_labels_and_findings_cannot_write_the_page(trained: dict[str, Any]) -> None:
    record = gather(trained["model"], trained["output"], trained["data"])
    evil = "</script><script>alert(1)</script>"
    assert record.predictions is not None
    finding = {"event": "finding", "rule": evil, "severity": "warning", "evidence": evil,
               "remedy": evil, "facts": {}}  # fmt: skip
    changed = dataclasses.replace(
        record,
        card=dataclasses.replace(record.card, classes=("moss", "rust", evil)),
        predictions=dataclasses.replace(record.predictions, classes=("moss", "rust", evil)),
        events=[*record.events, finding],
    )

    text = render(changed, None)

    assert "<script>alert" not in text
    assert Page(text).open == []


def many(classes: int, each: int) -> Predictions:
    """Answers of a fairly good model to pictures of many classes."""
    generator = torch.Generator().manual_seed(0)
    labels_N = torch.arange(classes).repeat(each)
    noise_NK = torch.randn(len(labels_N), classes, generator=generator)
    logits_NK = 2.2 * noise_NK + 6 * torch.nn.functional.one_hot(labels_N, classes)
    files = tuple(f"test/{n:03}.breed_{n}/{i}.jpg" for i, n in enumerate(labels_N.tolist()))
    names = tuple(f"breed_{n}" for n in range(classes))
    split = Answers(files=files, logits_NK=logits_NK, labels_N=labels_N)
    return Predictions(weights_sha256="", classes=names, splits={"test": split})


def test_133_classes_make_a_page_that_is_whole_and_small(trained: dict[str, Any]) -> None:
    record = gather(trained["model"], trained["output"], trained["data"])
    given = many(133, 6)
    changed = dataclasses.replace(
        record, card=dataclasses.replace(record.card, classes=given.classes), predictions=given
    )

    text = render(changed, None)

    assert len(text) < 600_000
    cells = json.loads(re.findall(r'id="cells">(.*?)</script>', text, re.DOTALL)[0])
    assert sum(cells["cells"].values()) == 133 * 6
    assert sorted(cells["labels"]) == sorted(given.classes)
    assert text.count('<rect class="right"') <= 133
    assert all(f"<td>breed_{n}</td>" in text for n in range(133))


def test_curves_are_those_of_the_last_run_in_the_file() -> None:
    events = [{"event": kind, "n": n} for n, kind in enumerate(["start", "epoch", "start", "end"])]

    assert [event["n"] for event in last_run(events)] == [2, 3]


@pytest.mark.slow
def test_the_latency_is_that_of_the_exported_model_on_one_thread(trained: dict[str, Any]) -> None:
    found = measure_latency(trained["model"])

    assert found["machine"]["threads"] == 1
    for part in (found["picture"], found["network"]):
        assert 0 < part["least_ms"] <= part["median_ms"] <= part["most_ms"]
    page = render(gather(trained["model"], trained["output"], trained["data"]), found)
    assert f"{found['network']['median_ms']:.2f}" in page
