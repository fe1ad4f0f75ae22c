"""A loaded model that answers requests.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels,
K = classes.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.messages import Prediction, Reply, RequestError
from contract.model_card import ModelCard
from contract.preprocessing import eval_view
from contract.strict import ContractError
from inference.archive import open_archive
from inference.pictures import Pictures
from inference.requests import Wanted
from inference.runtimes.base import Floats, Runtime
from inference.runtimes.choose import read_precision, runtimes

GOLDEN_TOLERANCE = 0.02
"""How far the golden picture's probability may be from the card's. Processors and releases of
Pillow and torch differ by less than 0.001; a wrong preprocessing or a wrong file by far more."""
_DECIMALS = 6
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A reply, and where its time went."""

    reply: Reply
    stage_ms: dict[str, float]
    """Milliseconds by stage: fetch, decode, predict."""


class Predictor:
    """Pictures in, replies out; safe to call from several threads."""

    def __init__(
        self, card: ModelCard, runtime: Runtime, pictures: Pictures, model_version: str
    ) -> None:
        self.runtime = runtime
        self._card = card
        self._pictures = pictures
        self._model_version = model_version

    def answer(self, wanted: Wanted) -> Answer:
        """Look at one picture.

        Raises:
            RequestError: the picture cannot be had, or is not one.
        """
        begun = time.perf_counter()
        picture = wanted.picture
        if picture is None:
            picture = self._pictures.read(wanted.s3_uri or "")
        fetched = time.perf_counter()
        images_BCSS = eval_view(picture, self._card.input)[None]
        decoded = time.perf_counter()
        probabilities_K = _softmax(self.runtime.logits(images_BCSS)[0], self._card.temperature)
        reply = self._reply(probabilities_K, wanted.top_k)
        done = time.perf_counter()
        stage_ms = {
            "fetch": round(1000 * (fetched - begun), 2),
            "decode": round(1000 * (decoded - fetched), 2),
            "predict": round(1000 * (done - decoded), 2),
        }
        return Answer(reply=reply, stage_ms=stage_ms)

    def warm_up(self, golden_picture: bytes) -> None:
        """Answer the golden picture, which must come out as the card says.

        Raises:
            ContractError: it does not: the model, or this machine, is not what was exported.
        """
        golden = self._card.golden
        probability = self.runtime.golden_probability or golden.probability
        try:
            first = self.answer(Wanted(picture=golden_picture, top_k=1)).reply.predictions[0]
        except RequestError as error:
            raise ContractError(f"{golden.file} cannot be read: {error.message}") from None
        near = abs(first.probability - probability) <= GOLDEN_TOLERANCE
        if first.label != golden.label or not near:
            raise ContractError(
                f"{golden.file} came out as {first.label!r} ({first.probability:.4f}) from "
                f"{self.runtime.name}; the card says {golden.label!r} ({probability:.4f}). Train "
                "or package it again."
            )

    def _reply(self, probabilities_K: Floats, top_k: int) -> Reply:
        order = np.argsort(-probabilities_K, kind="stable")[:top_k]
        return Reply(
            model_version=self._model_version,
            predictions=tuple(
                Prediction(
                    label=self._card.classes[k],
                    probability=round(float(probabilities_K[k]), _DECIMALS),
                )
                for k in order
            ),
        )


def load_predictor(folder: Path, environment: Mapping[str, str], threads: int) -> Predictor:
    """Load the model in a folder and warm it up.

    Where several runtimes may serve it, one that fails on the golden picture is passed over.

    Args:
        folder: the extracted model archive.
        environment: MODEL_VERSION, PICTURES_URI and PRECISION are read from it.
        threads: how many threads one forward pass may use.

    Raises:
        ContractError: the model is not fit to serve; the message says why.
    """
    precision = read_precision(environment)
    archive = open_archive(folder)
    pictures = Pictures(environment.get("PICTURES_URI") or None)
    version = environment.get("MODEL_VERSION") or "unreleased"
    *better, last = runtimes(archive, precision, threads)
    for load in better:
        try:
            predictor = Predictor(archive.card, load(), pictures, version)
            predictor.warm_up(archive.golden_picture())
        except ContractError as error:
            _LOG.warning("passed over a runtime", extra={"fields": {"reason": str(error)}})
        else:
            return predictor
    predictor = Predictor(archive.card, last(), pictures, version)
    predictor.warm_up(archive.golden_picture())
    return predictor


def _softmax(logits_K: Floats, temperature: float) -> Floats:
    scaled_K = logits_K.astype(np.float64) / temperature
    powers_K = np.exp(scaled_K - scaled_K.max())
    probabilities_K = powers_K / powers_K.sum()
    if not np.isfinite(probabilities_K).all():
        raise ArithmeticError("the network's answer is not a number")
    return np.asarray(probabilities_K, np.float32)
