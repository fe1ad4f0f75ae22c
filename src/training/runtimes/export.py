"""Makes, measures, judges and writes the runtimes of a model.

N = pictures, C = 3 channels (RGB), S = side of the network's input in pixels, K = classes.
"""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from contract.model_card import (
    CARD_FILE,
    WEIGHTS_FILE,
    ModelCard,
    file_sha256,
    read_card,
    write_card,
)
from contract.network import Classifier, build_classifier
from contract.preprocessing import eval_view
from contract.processor import Processor, find_processor
from contract.runtimes import MODEL_FILES, Precision, RuntimeCard, import_openvino
from contract.strict import ContractError
from training.answers import one_thread
from training.chance import shuffled
from training.data import Data, Picture
from training.data.workers import cores, side_by_side
from training.machine import processor as processor_name
from training.runtimes.convert import save, to_int8, to_openvino
from training.runtimes.judge import NOT_MADE, WITHOUT_PICTURES, Figures, absent, judge
from training.runtimes.ways import (
    Floats,
    Way,
    openvino_way,
    rounded_way,
    time_on_one_core,
    torch_way,
)

CALIBRATION_PICTURES = 300
"""Of the training split; their values' ranges become the 8-bit networks' ranges."""
MOST_JUDGED = 1000
"""Validation pictures that runtimes are judged on; more would not change the verdict."""
SEED = 0


def is_complete(
    card: ModelCard, max_points_lost: float, *, with_pictures: bool, with_int8: bool
) -> bool:
    """Whether nothing would be gained by exporting again.

    Args:
        card: of the model.
        max_points_lost: the limit that is wanted.
        with_pictures: whether the model's pictures are here.
        with_int8: whether an 8-bit network can be made here.
    """
    if not card.runtimes:
        return False
    refused = {runtime.refused for runtime in card.runtimes}
    if with_pictures and (WITHOUT_PICTURES in refused or (NOT_MADE in refused and with_int8)):
        return False
    return all(runtime.max_points_lost == max_points_lost for runtime in card.runtimes)


def add_runtimes(
    folder: Path, data: Data | None, max_points_lost: float, *, with_int8: bool
) -> ModelCard:
    """Export the model in a folder, so that a reader sees the old model, the new, or a refusal.

    Args:
        folder: of the model.
        data: its pictures, if they are here.
        max_points_lost: the most that a runtime may lose, in percent of the pictures.
        with_int8: whether to make an 8-bit network; NNCF must be installed.

    Returns:
        The new card.

    Raises:
        ContractError: there is no whole model.
    """
    card = read_card(folder)
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    classifier = build_classifier(card.network, len(card.classes)).eval().requires_grad_(False)
    classifier.load_state_dict(load_file(folder / WEIGHTS_FILE))
    golden = eval_view((folder / card.golden.file).read_bytes(), card.input)[None]
    found = _judged(partial, card, classifier, golden, data, max_points_lost, with_int8)
    used = sorted({name for runtime in found if runtime.accepted for name in runtime.files})
    ours = {name for file in MODEL_FILES.values() for name in (file, file[:-4] + ".bin")}
    files = {name: digest for name, digest in card.files.items() if name not in ours}
    files |= {name: file_sha256(partial / name) for name in used}
    new = dataclasses.replace(card, files=files, runtimes=tuple(found))
    write_card(new, partial)
    for name in (*used, CARD_FILE):
        (partial / name).replace(folder / name)
    for name in ours - set(used):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(partial)
    return new


def _judged(
    folder: Path,
    card: ModelCard,
    classifier: Classifier,
    golden_1CSS: Floats,
    data: Data | None,
    limit: float,
    with_int8: bool,
) -> list[RuntimeCard]:
    """Make the files in a folder, and judge each runtime of them."""
    processor = this_processor()
    model = to_openvino(classifier, card.input)
    save(model, folder / MODEL_FILES["fp32"])
    found: dict[Precision, RuntimeCard] = {}
    precisions: list[Precision] = ["fp32"]
    if data is None:
        found["bf16"] = absent("bf16", WITHOUT_PICTURES, limit)
        found["int8"] = absent("int8", WITHOUT_PICTURES, limit)
    else:
        precisions.append("bf16")
        impossible = NOT_MADE
        if with_int8:
            try:
                quantized = to_int8(model, calibration_views(data, card), card.network.backbone)
                save(quantized, folder / MODEL_FILES["int8"])
                precisions.append("int8")
            except ContractError as error:
                impossible = f"NNCF cannot make it: {error}"
        if "int8" not in precisions:
            found["int8"] = absent("int8", impossible, limit)

    def way(precision: Precision, threads: int) -> Way:
        if precision == "bf16" and not processor.bf16:
            return rounded_way(classifier)
        return openvino_way(folder / MODEL_FILES[precision], precision, card.input.size_px, threads)

    timed = [p for p in precisions if is_native(p, processor)]
    times = dict(zip(timed, time_on_one_core([way(p, 1) for p in timed], golden_1CSS), strict=True))
    pictures = judged_pictures(data) if data is not None else []
    ways: dict[str, Way] = {"float32": torch_way(classifier)}
    ways |= {precision: way(precision, cores()) for precision in precisions}
    said = answers(ways, pictures, card)
    labels_N = np.array([card.classes.index(picture.label) for picture in pictures])
    first_N = said["float32"].argmax(1) if pictures else labels_N
    fastest: float | None = None
    for precision in precisions:
        logits_K = ways[precision](golden_1CSS)
        figures = Figures(
            golden_label=card.classes[int(logits_K.argmax())],
            golden_probability=probability(logits_K, card),
            accuracy=float((said[precision].argmax(1) == labels_N).mean()) if pictures else None,
            agreement=float((said[precision].argmax(1) == first_N).mean()) if pictures else None,
            median_ms=times.get(precision),
            machine=processor_name() if precision in times else None,
        )
        found[precision] = judge(
            precision,
            figures,
            card.golden,
            float32_accuracy=float((first_N == labels_N).mean()) if pictures else 0.0,
            max_points_lost=limit,
            fastest_ms=fastest,
        )
        if found[precision].accepted and figures.median_ms is not None:
            fastest = min(figures.median_ms, fastest or figures.median_ms)
    return [found[precision] for precision in ("fp32", "bf16", "int8")]


def is_native(precision: Precision, processor: Processor) -> bool:
    """Whether a processor computes a precision itself, so that timing it means something."""
    return {"fp32": True, "bf16": processor.bf16, "int8": processor.int8}[precision]


def this_processor() -> Processor:
    """What this machine's processor computes fast."""

    def capabilities() -> list[str]:
        core = import_openvino().Core()
        found: list[str] = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return found

    return find_processor(capabilities)


def calibration_views(data: Data, card: ModelCard) -> list[Floats]:
    """Some training pictures as the network sees them, (1, C, S, S) each."""
    pictures = sorted(data.split("train"), key=lambda picture: picture.sha256)
    chosen = [pictures[i] for i in shuffled(len(pictures), SEED, 0)[:CALIBRATION_PICTURES]]

    def view(picture: Picture) -> Floats:
        return eval_view(picture.path.read_bytes(), card.input)[None]

    return list(side_by_side(view, chosen, cores()))


def judged_pictures(data: Data) -> list[Picture]:
    """The validation pictures, or some of very many."""
    pictures = sorted(data.split("valid"), key=lambda picture: picture.sha256)
    return [pictures[i] for i in shuffled(len(pictures), SEED, 1)[:MOST_JUDGED]]


def answers(
    ways: Mapping[str, Way], pictures: Sequence[Picture], card: ModelCard
) -> dict[str, Floats]:
    """What each way says of each picture, float32 (N, K), in the order of the pictures."""

    def all_ways(picture: Picture) -> list[Floats]:
        image_1CSS = eval_view(picture.path.read_bytes(), card.input)[None]
        return [way(image_1CSS) for way in ways.values()]

    with one_thread():
        rows = list(side_by_side(all_ways, pictures, cores()))
    shape = (0, len(card.classes))
    return {
        name: np.stack([row[place] for row in rows]) if rows else np.empty(shape, np.float32)
        for place, name in enumerate(ways)
    }


def probability(logits_K: Floats, card: ModelCard) -> float:
    """Of the golden picture's label, as serving computes it."""
    scaled_K = logits_K.astype(np.float64) / card.temperature
    powers_K = np.exp(scaled_K - scaled_K.max())
    return float(powers_K[card.classes.index(card.golden.label)] / powers_K.sum())
