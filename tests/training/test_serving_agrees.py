"""What training says of a picture is what serving says of it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.training.digits import Digits

from contract.model_card import read_card
from contract.network import build_classifier
from contract.preprocessing import eval_view
from inference.predictor import Predictor, load_predictor
from inference.requests import Wanted
from training.answers import answers
from training.data import read_data
from training.loop import measure
from training.runlog import RunLog

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]
TOLERANCE = 1e-5


def odd_copies(root: Path) -> None:
    """Put pictures of many kinds beside the plain ones, in every split."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for split in ("valid", "test"):
        home = root / split / "001.rust"
        picture = Image.open(home / "0.jpg").resize((530, 400), Image.Resampling.BICUBIC)
        noise = np.random.default_rng(len(split)).normal(0, 9, (400, 530, 3))
        picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
        picture.convert("L").save(home / "grey.jpg")
        picture.convert("CMYK").save(home / "cmyk.jpg")
        picture.convert("RGBA").save(home / "alpha.png")
        picture.convert("P").save(home / "palette.png")
        picture.save(home / "large.webp")
        picture.rotate(90, expand=True).save(home / "turned.jpg", exif=exif)


def said_by_training(model: Path, data: Path, splits: tuple[str, ...]) -> dict[Path, list[float]]:
    """Probabilities by picture, computed as training computes them: in batches."""
    card, found = read_card(model), read_data(data)
    classifier = build_classifier(card.network, len(card.classes))
    classifier.load_state_dict(load_file(model / "weights.safetensors"))
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures = [picture for split in splits for picture in found.split(split)]
    log = RunLog(model.parent / "again", io.StringIO())
    logits_NK = answers(classifier, pictures, card.input, log, "again")
    probabilities_NK = (logits_NK.double() / card.temperature).softmax(1)
    return {
        picture.path: row.tolist() for picture, row in zip(pictures, probabilities_NK, strict=True)
    }


def said_by_serving(model: Path, paths: list[Path]) -> dict[Path, list[float]]:
    """Probabilities by picture, by the code that answers requests: one at a time."""
    threads = torch.get_num_threads()
    try:
        predictor: Predictor = load_predictor(model, {}, threads=1)
        classes = read_card(model).classes
        replies = {}
        for path in paths:
            wanted = Wanted(picture=path.read_bytes(), top_k=len(classes))
            by_label = {p.label: p.probability for p in predictor.answer(wanted).reply.predictions}
            replies[path] = [by_label[label] for label in classes]
        return replies
    finally:
        torch.set_num_threads(threads)


def furthest(one: dict[Path, list[float]], other: dict[Path, list[float]]) -> float:
    return max(abs(a - b) for path in one for a, b in zip(one[path], other[path], strict=True))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--method=finetune", "--epochs=1", "--batch-size=6", "--learning-rate=0.0003"],
        ["--method=finetune", "--epochs=1", "--stages=1", "--augmentation=none", "--mixup=0.2"],
        ["--method=head", "--epochs=3", "--hidden-units=16"],
    ],
    ids=["finetune", "maps", "head"],
)
def test_serving_says_of_every_kind_of_picture_what_training_says(
    arguments: list[str], folder: Folder, run: Run
) -> None:
    root = folder(train=6, valid=10, test=20)
    odd_copies(root)
    result = run(root, *arguments)

    trained = said_by_training(result["model"], root, ("valid", "test"))
    served = said_by_serving(result["model"], list(trained))

    assert len(trained) == 102
    assert furthest(trained, served) <= TOLERANCE
    card, data = read_card(result["model"]), read_data(root)
    labels_N = torch.tensor(data.numbers(data.split("test")))
    rows = [served[picture.path] for picture in data.split("test")]
    found = measure(torch.tensor(rows).clamp(min=1e-9).log(), labels_N)
    assert card.test is not None
    assert found.accuracy == card.test.accuracy
    assert found.loss == pytest.approx(card.test.loss, abs=1e-3)


def test_a_picture_in_a_batch_has_the_answer_of_the_picture_alone(folder: Folder, run: Run) -> None:
    result = run(folder(train=6, valid=2), "--epochs=1")
    card = read_card(result["model"])
    classifier = build_classifier(card.network, len(card.classes)).eval()
    classifier.load_state_dict(load_file(result["model"] / "weights.safetensors"))
    views = [
        eval_view(picture.path.read_bytes(), card.input)
        for picture in read_data(result["model"].parents[1] / "data").pictures
    ]

    with torch.inference_mode():
        together = classifier(torch.from_numpy(np.stack(views))).softmax(1)
        alone = torch.cat([classifier(torch.from_numpy(v)[None]) for v in views]).softmax(1)

    assert float((together - alone).abs().max()) <= TOLERANCE


@pytest.mark.slow
def test_digits_are_learnt_from_random_weights_and_served_as_they_were_tested(
    digits: Digits,
) -> None:
    card = json.loads((digits.model / "model.json").read_text())

    assert card["test"]["pictures"] >= 170
    assert card["test"]["accuracy"] >= 0.97
    trained = said_by_training(digits.model, digits.data, ("test",))
    assert furthest(trained, said_by_serving(digits.model, list(trained))) <= TOLERANCE
