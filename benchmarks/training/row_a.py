"""Row (a): five epochs of training a head."""

import io
import json
import time

from benchmarks.training.course import as_written, repaired
from benchmarks.training.rows import Outcome, Row, Setup, Side

from contract.hyperparameters import Hyperparameters
from contract.model_card import Network
from contract.network import build_classifier
from training.data import read_data
from training.head import train_head
from training.run import device, input_spec
from training.runlog import RunLog
from training.weights import load_weights


def ours(setup: Setup, views: int) -> Outcome:
    """From the folder of JPEGs to a trained head, the cache empty."""
    started = time.perf_counter()
    settings = Hyperparameters(
        backbone=setup.backbone,
        image_size_px=setup.image_size_px,
        epochs=setup.epochs,
        batch_size=setup.batch_size,
        learning_rate=setup.learning_rate,
        views=views,
        seed=setup.seed,
    )
    log = RunLog(setup.scratch / "output", io.StringIO())
    data = read_data(setup.data)
    network = Network(backbone=settings.backbone, hidden_units=settings.hidden_units)
    classifier = build_classifier(network, len(data.classes)).to(device())
    load_weights(classifier.backbone, settings.backbone, str(setup.weights), "head")
    spec, cache = input_spec(settings), setup.scratch / "cache"
    train_head(classifier, data, spec, settings, log, cache_dir=cache)
    seconds = time.perf_counter() - started
    events = [json.loads(line) for line in log.path.read_text().splitlines()]
    loss = min(event["valid_loss"] for event in events if event["event"] == "epoch")
    return Outcome(seconds=seconds, facts={"valid_loss": loss, "epochs": setup.epochs})


ROW = Row(
    title="(a) Five epochs of training a head",
    note="The loop as written ends after one epoch; its time is given for as many as the others "
    "make. Ours reads and checks every file, computes features into an empty cache and trains. "
    "Validation loss is the mean per picture after the best epoch, each side on its own view.",
    sides=(
        Side(name="the loop as written", measure=as_written),
        Side(name="the loop repaired", measure=repaired),
        Side(name="ours, a view for each epoch", measure=lambda s: ours(s, s.epochs)),
        Side(name="ours, one view", measure=lambda s: ours(s, 1)),
    ),
    against=("the loop as written", "the loop repaired"),
)
