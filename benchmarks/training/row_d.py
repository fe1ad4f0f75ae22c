"""Row (d): fine-tuning, in seconds per picture; end to end and of the last stage alone."""

import io
import time

import torch
from benchmarks.training.rows import Outcome, Row, Setup, Side
from torch.nn.functional import cross_entropy

from contract.hyperparameters import Hyperparameters
from contract.model_card import Network
from contract.network import Classifier, build_classifier
from training.batches import Views, train_batches
from training.data import Data, read_data
from training.data.store import open_store
from training.finetune import finetune
from training.loop import Epoch, Watcher
from training.run import device, input_spec
from training.runlog import RunLog
from training.state import State
from training.weights import load_weights


def settings_of(setup: Setup, **changes: object) -> Hyperparameters:
    """What both sides do."""
    fields = {
        "method": "finetune",
        "backbone": setup.backbone,
        "image_size_px": setup.image_size_px,
        "epochs": 2,
        "batch_size": setup.batch_size,
        "learning_rate": setup.learning_rate / 10,
        "hidden_units": 0,
        "seed": setup.seed,
    }
    return Hyperparameters(**{**fields, **changes})  # type: ignore[arg-type]


def network_of(setup: Setup, data: Data) -> Classifier:
    """The same layers with the same weights."""
    torch.manual_seed(setup.seed)
    classifier = build_classifier(
        Network(backbone=setup.backbone, hidden_units=0), len(data.classes)
    ).to(device())
    load_weights(classifier.backbone, setup.backbone, str(setup.weights), "finetune")
    return classifier


def plain(setup: Setup, stages: int) -> Outcome:
    """Eager fp32, contiguous, BatchNorm in training mode: the loop of the tutorials.

    Args:
        setup: pictures and network.
        stages: 0: everything learns. 1: the last stage and the head do, `layer4` of a resnet.
    """
    data, settings = read_data(setup.data), settings_of(setup)
    spec, classifier = input_spec(settings), network_of(setup, data)
    train, log = data.split("train"), RunLog(setup.scratch / "output", io.StringIO())
    store = open_store(train, 1, spec, setup.scratch / "cache", log)
    views = Views(pictures=train, store=store, augmentation="crop", seed=setup.seed)
    if stages:
        for name, parameter in classifier.named_parameters():
            parameter.requires_grad_("layer4" in name or name.startswith("head"))
    learning = [p for p in classifier.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=settings.learning_rate)
    classifier.train()
    started = time.perf_counter()
    for images_BCSS, labels_B in train_batches(
        views, data.numbers(train), batch_size=settings.batch_size, epoch=1
    ):
        optimizer.zero_grad()
        loss = cross_entropy(classifier(images_BCSS.to(device())), labels_B.to(device()))
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not say its type
        optimizer.step()
        loss.item()
    return Outcome(seconds=(time.perf_counter() - started) / len(train))


class _Clock(Watcher):
    """Keeps how long the last epoch's steps took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def after_epoch(self, state: State, epoch: Epoch) -> None:  # noqa: ARG002 (the hook's shape)
        self.seconds = epoch.training_seconds


def ours(setup: Setup, **changes: object) -> Outcome:
    """The second epoch of a run of ours: what starts a run is told apart, as `start_seconds`."""
    data, settings = read_data(setup.data), settings_of(setup, **changes)
    classifier = network_of(setup, data).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
    log, clock = RunLog(setup.scratch / "output", io.StringIO()), _Clock()
    started = time.perf_counter()
    finetune(
        classifier, data, input_spec(settings), settings, log, [clock],
        cache_dir=setup.scratch / "cache",
    )  # fmt: skip
    whole = time.perf_counter() - started
    return Outcome(
        seconds=clock.seconds / len(data.split("train")),
        facts={"start_seconds": whole - 2 * clock.seconds},
    )


ROW = Row(
    title="(d) Fine-tuning, seconds per picture",
    note="Forward, backward and step from the JPEG file on, in the second epoch of two for ours; "
    "`start seconds` is the rest of ours: the head it starts from, maps, validation. precision is "
    "asked for, not timed, as the run is short. The plain loop is eager fp32. The last stage is "
    "compared with the plain loop that freezes the others and runs them in each step.",
    sides=(
        Side(name="the plain loop", measure=lambda s: plain(s, 0)),
        Side(name="the plain loop, last stage", measure=lambda s: plain(s, 1)),
        Side(name="ours, fp32", measure=lambda s: ours(s, precision="fp32", compiled="never")),
        Side(name="ours, bf16", measure=lambda s: ours(s, precision="bf16", compiled="never")),
        Side(
            name="ours, last stage",
            measure=lambda s: ours(s, precision="bf16", compiled="never", stages=1),
        ),
        Side(
            name="ours, last stage on cached maps",
            measure=lambda s: ours(
                s, precision="bf16", compiled="never", stages=1, augmentation="none"
            ),
        ),
    ),
    against=("the plain loop", "the plain loop, last stage"),
)
