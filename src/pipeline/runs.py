"""What EC2 runs and SageMaker jobs share: their inputs, their name, their log, their model."""

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract.hyperparameters import Hyperparameters, from_text, read_hyperparameters
from contract.model_card import ModelCard, file_sha256
from contract.release import Artifact
from contract.strict import require
from pipeline.aws import Client
from pipeline.cli import say
from pipeline.objects import is_there, put_once
from pipeline.package import package_training
from pipeline.upload import read_dataset, upload_archive, upload_dataset

NAMED_WEIGHTS = ("auto", "imagenet", "random")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """All that a run starts from, in the bucket."""

    run_id: str
    """Time and digest, for example 20261122-164500-1a2b3c."""
    bucket: str
    code: Artifact
    data_uri: str
    """`s3://...`, ending with a slash."""
    weights: str
    """`auto`, `imagenet`, `random` or `s3://...`."""
    hyperparameters: Hyperparameters
    fingerprint: str
    """Of code, data, weights and hyperparameters: the same inputs go on where others stopped."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a run."""
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled pictures")
    parser.add_argument(
        "--hyperparameters", type=Path, default=Path("config/hyperparameters.json"), metavar="FILE"
    )
    parser.add_argument("--weights", default="auto", help="auto, imagenet, random, or a file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="overrides",
        help="another hyperparameter for this run, for example --set epochs=3",
    )  # fmt: skip


def prepare(
    options: argparse.Namespace, s3: Client, bucket: str, tell: Callable[[str], None]
) -> Inputs:
    """Check, package and upload what a run needs.

    Raises:
        ContractError: an input is missing or wrong; nothing was started.
    """
    hyperparameters = read_overridden(options.hyperparameters, options.overrides)
    dataset = read_dataset(options.data)
    code = package_training(Path(), options.build)
    upload_archive(s3, bucket, code, options.build, tell)
    data_uri = upload_dataset(s3, bucket, dataset, tell)
    weights = _upload_weights(options.weights, s3, bucket, tell)
    what = f"{code.sha256} {dataset.sha256} {weights} {hyperparameters}"
    digest = hashlib.sha256(what.encode()).hexdigest()
    return Inputs(
        run_id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{digest[:6]}",
        bucket=bucket,
        code=code,
        data_uri=data_uri,
        weights=weights,
        hyperparameters=hyperparameters,
        fingerprint=digest[:16],
    )


def read_overridden(path: Path, overrides: list[str]) -> Hyperparameters:
    """Read hyperparameters and apply `name=value` texts.

    Raises:
        ContractError: a name or value is wrong.
    """
    for text in overrides:
        require("=" in text, f"--set {text}: it must be NAME=VALUE, for example epochs=3.")
    named = dict(text.split("=", 1) for text in overrides)
    return from_text(named, read_hyperparameters(path))


def _upload_weights(weights: str, s3: Client, bucket: str, tell: Callable[[str], None]) -> str:
    if weights in NAMED_WEIGHTS:
        return weights
    path = Path(weights)
    require(
        path.is_file(),
        f"--weights is {weights!r}; it must be {', '.join(NAMED_WEIGHTS)} or a file.",
    )
    digest = file_sha256(path)
    key = f"weights/{digest}/{path.name}"
    if not is_there(s3, bucket, key, digest):
        put_once(s3, bucket, key, path, digest, tell)
    return f"s3://{bucket}/{key}"


def shown(line: str) -> str | None:
    """A line of a training log as a person reads it.

    Returns:
        Events as sentences, other lines as they are; `None` for what is said elsewhere.
    """
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return line
    match event:
        case {"event": "epoch"}:
            return (
                f"epoch {event['epoch']}/{event['epochs']}: training loss "
                f"{event['train_loss']:.4f}, validation loss {event['valid_loss']:.4f}, "
                f"accuracy {event['valid_accuracy']:.1%}, {event['seconds']:.1f} s"
            )
        case {"event": "progress"}:
            return f"{event['doing']}: {event['done']} of {event['total']} pictures"
        case {"event": "data"}:
            counts = ", ".join(f"{count} {split}" for split, count in event["pictures"].items())
            return f"{event['classes']} classes; pictures: {counts}"
        case {"event": "finding"}:
            return f"{event['severity']}: {event['evidence']} {event['remedy']}"
        case {"event": "left_out"}:
            return f"left out {event['file']}: {event['reason']}"
        case {"event": _}:
            return None
    return line


def show(lines: Iterable[str]) -> None:
    """Write the lines of a training log that a person wants to read."""
    for line in lines:
        if (text := shown(line)) is not None:
            say(f"  {text}")


def describe(card: ModelCard) -> str:
    """One line on how good a model is."""
    test = f", test accuracy {card.test.accuracy:.1%}" if card.test else ""
    return (
        f"{card.network.backbone}, {len(card.classes)} classes: "
        f"validation accuracy {card.validation.accuracy:.1%}{test}"
    )


def as_json(hyperparameters: Hyperparameters) -> bytes:
    """The file that training reads."""
    return json.dumps(dataclasses.asdict(hyperparameters), indent=2).encode()
