"""One training run: data in, model folder out."""

import dataclasses
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from contract.hyperparameters import Hyperparameters
from contract.model_card import InputSpec, ModelCard, Network
from contract.network import Classifier, build_classifier
from contract.strict import require
from training import processes
from training.answers import answers
from training.calibration import fit_temperature
from training.checkpoints import Checkpoints
from training.data import read_data
from training.data_report import read_data_report, write_data_report
from training.diagnostics.diagnosis import Diagnosis
from training.diagnostics.finding import summary
from training.export import export, golden_candidates, provenance
from training.finetune import finetune
from training.head import train_head
from training.loop import measure
from training.predictions import write_predictions
from training.runlog import RunLog
from training.saving import Saver
from training.speed import FIGURES
from training.stopping import Stopping
from training.weights import load_weights, pixel_statistics

RESIZE_OVER_SIZE = 256 / 224
"""The usual margin around the centre square."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to train, from what, to where."""

    data: Path
    model_dir: Path
    output_dir: Path
    settings: Hyperparameters
    weights: str
    """`auto`, `imagenet`, `random` or a path."""
    cache_dir: Path
    """Features and resized pictures, kept between runs; may be deleted at any time."""
    checkpoint_dir: Path
    """Where an interrupted run goes on from."""
    checkpoint_seconds: float
    """Longest time between two checkpoints; each epoch makes one anyway."""
    profile: bool
    """Whether to find out where time goes."""


def train(request: Request, log: RunLog, stopping: Stopping) -> ModelCard | None:
    """Train one model and write it, going on from a checkpoint if there is one of this run.

    Args:
        request: what to train.
        log: is told how it goes.
        stopping: hears when somebody wants the run to end.

    Returns:
        The model's card; nothing in all processes but the first, which writes the model.

    Raises:
        ContractError: the data, the network or the weights cannot be used.
        StopError: the run was asked to end; the checkpoint is written.
    """
    started, settings = time.monotonic(), request.settings
    require(
        processes.count() == 1 or settings.method == "head" or settings.batch_norm == "frozen",
        "batch_norm is adaptive: each of several processes would follow its own share of a batch. "
        "Set it to frozen, or train in one process.",
    )
    log.begin()
    log.event(
        "start",
        f"training {settings.method} of {settings.backbone} on {request.data}",
        hyperparameters=dataclasses.asdict(settings),
    )
    data = read_data(request.data, request.cache_dir)
    diagnosis = Diagnosis(log, settings, data.classes)
    if processes.number() == 0:
        write_data_report(data, request.output_dir, log)
        diagnosis.look_at_data(read_data_report(request.output_dir))
    make_repeatable(settings.seed)
    network = Network(backbone=settings.backbone, hidden_units=settings.hidden_units)
    classifier = build_classifier(network, len(data.classes))
    weights = first_weights(classifier, request, log)
    classifier.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    spec = input_spec(settings)

    made = provenance(dataclasses.asdict(settings), weights, data.sha256)
    identity = {**dataclasses.asdict(made), "processes": processes.count()}
    processes.require_same("settings, data, weights, code or libraries", json.dumps(identity))
    checkpoints = Checkpoints(request.checkpoint_dir, identity, log)
    saver = Saver(
        checkpoints,
        stopping,
        seconds=request.checkpoint_seconds,
        epochs=settings.epochs,
        figures=request.cache_dir / FIGURES,
        log=log,
    )

    with saver.saving():
        of_head = partial(train_head, cache_dir=request.cache_dir)
        of_finetune = partial(finetune, cache_dir=request.cache_dir)
        method = of_head if settings.method == "head" else of_finetune
        best_epoch, logits_NK = method(classifier, data, spec, settings, log, [diagnosis, saver])
        classifier.to(device())

        valid, test = data.split("valid"), data.split("test")
        labels_N = torch.tensor(data.numbers(valid))
        temperature = fit_temperature(logits_NK, labels_N)
        validation = measure(logits_NK, labels_N, temperature)
        answered, tested = {"valid": logits_NK}, None
        if test:  # the model is chosen; only now, and once, is it asked about these
            answered["test"] = answers(classifier, test, spec, log, "test")
            tested = measure(answered["test"], torch.tensor(data.numbers(test)), temperature)
        if processes.number() > 0:
            return None
        card = export(
            request.model_dir,
            classifier,
            classes=data.classes,
            spec=spec,
            network=network,
            temperature=temperature,
            validation=validation,
            test=tested,
            candidates=golden_candidates(valid, logits_NK, labels_N),
            provenance=made,
        )
        predictions = write_predictions(request.output_dir, data, card, answered)
        diagnosis.look_at_answers(predictions)
        seconds = time.monotonic() - started
        tell_end(log, card, best_epoch, request.model_dir, diagnosis, seconds)
    return card


def first_weights(classifier: Classifier, request: Request, log: RunLog) -> str:
    """Load what was asked for, and be loud where the backbone has learnt nothing."""
    settings = request.settings
    label, why = load_weights(
        classifier.backbone, settings.backbone, request.weights, settings.method
    )
    log.event("weights", f"weights: {label}", weights=label)
    if label == "random":
        log.warn(
            f"RANDOM WEIGHTS: the {settings.backbone} backbone has learnt nothing yet, because "
            f"{why.rstrip('.')}. Expect far worse results than with ImageNet weights."
        )
    return label


def input_spec(settings: Hyperparameters) -> InputSpec:
    """The view that the network is trained and served with."""
    mean, std = pixel_statistics(settings.backbone)
    size = settings.image_size_px
    return InputSpec(resize_px=round(size * RESIZE_OVER_SIZE), size_px=size, mean=mean, std=std)


def make_repeatable(seed: int) -> None:
    """Same seed, same numbers."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    torch.backends.cudnn.benchmark = False


def device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def tell_end(
    log: RunLog,
    card: ModelCard,
    best_epoch: int,
    folder: Path,
    diagnosis: Diagnosis,
    seconds: float,
) -> None:
    """The result, for people and programs."""
    test = "" if card.test is None else f", test accuracy {card.test.accuracy:.1%}"
    log.event(
        "end",
        f"best epoch {best_epoch}: valid accuracy {card.validation.accuracy:.1%}{test}; "
        f"{summary(diagnosis.findings)}; {folder} is the model ({seconds:.1f} s)",
        best_epoch=best_epoch,
        validation=dataclasses.asdict(card.validation),
        test=None if card.test is None else dataclasses.asdict(card.test),
        temperature=card.temperature,
        model_dir=str(folder),
        findings=[finding.rule for finding in diagnosis.findings],
        seconds=round(seconds, 3),
        diagnosis_seconds=round(diagnosis.seconds, 3),
    )
