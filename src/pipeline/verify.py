"""Proves a deployment: its own golden picture, through the Lambda function, from the new model."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contract.messages import Reply
from contract.model_card import CARD_FILE, GOLDEN_FILE, SCHEMA_VERSION, file_sha256
from contract.release import Release
from contract.stack import Function
from contract.strict import require
from pipeline.archives import read_member
from pipeline.asking import Refused, ask, bytes_request
from pipeline.aws import Client
from pipeline.cli import Failed
from pipeline.objects import fetch_file
from pipeline.package import MODEL_ARCHIVE

PATIENCE_SECONDS = 120
"""How long the old model may go on answering, and a new one may take to wake up."""
PAUSE_SECONDS = 1.0
PROBABILITY_TOLERANCE = 0.05
"""Other processors, number formats and runtimes round differently; a wrong model is far off."""
PASSING = frozenset({"too_many_requests", "unavailable", "timeout", "bad_gateway"})
"""Errors of a service that is just waking up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenPicture:
    """A picture, and what the model that was exported said of it."""

    picture: bytes
    label: str
    probability: float
    of_runtimes: tuple[float, ...] = ()
    """What the faster runtimes that the card accepted said; one of them may serve."""

    def agrees(self, probability: float) -> bool:
        """Whether one of them may have said this of the label."""
        said = (self.probability, *self.of_runtimes)
        return any(abs(probability - one) <= PROBABILITY_TOLERANCE for one in said)


def golden_of(release: Release, build: Path, s3: Client, bucket: str) -> GoldenPicture:
    """The golden picture of a release, from its model archive here or in the bucket."""
    archive = build / MODEL_ARCHIVE
    if archive.is_file() and file_sha256(archive) == release.model.sha256:
        return _read_golden(archive)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / MODEL_ARCHIVE
        fetch_file(s3, bucket, release.model.key, archive, release.model.sha256)
        return _read_golden(archive)


def verify(
    client: Client,
    function: Function,
    version: str,
    golden: GoldenPicture,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Reply:
    """Ask until the new model answers.

    Args:
        client: of Lambda.
        function: whom to ask.
        version: must be the reply's `model_version`.
        golden: must be the reply's answer.
        patience_seconds: how long to wait for the new model.

    Returns:
        The new model's reply.

    Raises:
        Failed: another model answers, or none, or the answer is wrong.
    """
    request = bytes_request(golden.picture, top_k=1)
    deadline = time.monotonic() + patience_seconds
    reply, refusal = _ask_once(lambda: ask(client, function, request))
    while (reply is None or reply.model_version != version) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        reply, refusal = _ask_once(lambda: ask(client, function, request))
    if reply is None:
        raise Failed(f"The golden picture got no answer. {refusal}")
    if reply.model_version != version:
        raise Failed(
            f"The golden picture was answered by model {reply.model_version}; {version} was "
            f"deployed, and did not answer within {patience_seconds:.0f} s."
        )
    first = reply.predictions[0]
    if first.label != golden.label or not golden.agrees(first.probability):
        raise Failed(
            f"Model {version} says {first.label} ({first.probability:.3f}) of its golden picture; "
            f"when it was exported it said {golden.label} ({golden.probability:.3f}). "
            "Serving does not compute what training did."
        )
    return reply


def _ask_once(question: Callable[[], Reply]) -> tuple[Reply | None, str]:
    try:
        return question(), ""
    except Refused as refusal:
        if refusal.code not in PASSING:
            raise
        return None, str(refusal)


def _read_golden(archive: Path) -> GoldenPicture:
    card = json.loads(read_member(archive, CARD_FILE))
    require(
        card["schema_version"] == SCHEMA_VERSION,
        f"The archive's card is of schema {card['schema_version']}; this reads {SCHEMA_VERSION}.",
    )
    golden = card["golden"]
    return GoldenPicture(
        picture=read_member(archive, golden.get("file", GOLDEN_FILE)),
        label=golden["label"],
        probability=golden["probability"],
        of_runtimes=tuple(
            runtime["golden_probability"]
            for runtime in card.get("runtimes", [])
            if runtime["accepted"]
        ),
    )
