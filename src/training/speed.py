"""Which precision, and whether torch.compile, for one network on one machine: timed, not guessed.

bf16 is several times faster than fp32 on a processor with instructions for it and slower on one
without; compiling pays after many pictures, and makes some networks slower. A run worth measuring
(by counted work, never by time) tries each way on the same few pictures. The figures are kept for
the machine, torch and the network, and what follows from them is a function of them and of the
counted work: a resumed or repeated run does the same.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch

from contract.hyperparameters import Hyperparameters
from training import processes
from training.faster import Speed, way
from training.identity import machine
from training.probe import PROBED, Figures, Work, count_flop, time_ways
from training.runlog import RunLog

FIGURES = "speed"
"""Folder in the cache that keeps what was measured; a checkpoint has it too."""

WORTH_TIMING = {"forward": 4e12, "train": 3e13}
"""Floating-point operations of a run below which fp32 is taken as it is: up to a minute or so."""

WORTH_COMPILING = 5e13
"""Operations below which compiling, which takes up to a minute, is not even tried."""

DISAGREEMENT = {"forward": 0.05, "train": 0.5}
"""Largest difference from fp32. Of features: as a share of how much the pictures themselves
differ. Of gradients: as a share of the gradient, which differs by more from batch to batch."""


def choose_speed(work: Work, settings: Hyperparameters, cache_dir: Path, log: RunLog) -> Speed:
    """Say how to run the network, and tell the log why.

    Args:
        work: what is to be run.
        settings: `precision` and `compiled` decide where they are not auto.
        cache_dir: keeps the figures.
        log: is told.
    """
    figures = Figures()
    given = Speed(
        precision="bf16" if settings.precision == "bf16" else "fp32",
        compiled=settings.compiled == "always",
    )
    if "auto" not in (settings.precision, settings.compiled):
        speed, why = given, "it was asked for"
    elif (flop := count_flop(work, WORTH_TIMING[work.kind])) < WORTH_TIMING[work.kind]:
        speed, why = given, f"the run is too small to time it: {flop:.0e} operations at most"
    else:
        compilable = settings.compiled == "auto" and flop >= WORTH_COMPILING
        figures = measured(work, settings, compilable, cache_dir)
        speed, why = decide(figures, work, settings, compilable)
    # Processes that share a run must not differ in how they run it.
    speed = Speed(**json.loads(processes.told_by_first(json.dumps(asdict(speed)).encode())))
    log.event(
        "speed",
        f"speed: {work.kind} in {way(speed)}: {why}",
        kind=work.kind,
        precision=speed.precision,
        compiled=speed.compiled,
        why=why,
        **asdict(figures),
    )
    return speed


def decide(
    figures: Figures, work: Work, settings: Hyperparameters, compilable: bool
) -> tuple[Speed, str]:
    """The fastest way that agrees with fp32 and, if compiled, earns what compiling costs.

    Args:
        figures: what is known.
        work: the run.
        settings: what is not to be chosen.
        compilable: whether compiling is worth a thought.

    Returns:
        The choice, and why in a few words.
    """
    times, bound, notes = figures.milliseconds, DISAGREEMENT[work.kind], []
    precision: Literal["fp32", "bf16"] = "bf16" if settings.precision == "bf16" else "fp32"
    if settings.precision == "auto":
        off = figures.disagreement["bf16"]
        notes.append(f"fp32 takes {times['fp32']:.1f} ms a picture, bf16 {times['bf16']:.1f}")
        if off > bound:
            notes.append(f"bf16 differs by {off:.3f}, more than {bound}")
        elif times["bf16"] < times["fp32"]:
            precision = "bf16"
            notes.append(f"bf16 differs by {off:.3f}, at most {bound} is allowed")
    compiled = settings.compiled == "always"
    name = f"compiled {precision}"
    if compilable and figures.fault:
        notes.append(f"compiling fails here ({figures.fault})")
    elif compilable and name in times:
        saved = (times[precision] - times[name]) * work.pictures / 1000
        off = figures.disagreement[name]
        compiled = saved > figures.compile_seconds and off <= bound
        notes.append(
            f"compiled it takes {times[name]:.1f} ms, which saves {saved:.0f} s of a run and costs "
            f"{figures.compile_seconds:.0f} s, and differs by {off:.3f}"
        )
    why = "; ".join(notes) or "it was asked for"
    return Speed(precision=precision, compiled=compiled), why


def measured(work: Work, settings: Hyperparameters, compilable: bool, cache_dir: Path) -> Figures:
    """The figures that the choice needs: kept ones, and what is missing measured now."""
    path = cache_dir / FIGURES / f"{_key(work)}.json"
    figures = _kept(path)
    ways = [Speed(), Speed(precision="bf16")]
    if any(way(speed) not in figures.milliseconds for speed in ways):
        time_ways(work, ways, figures, PROBED)
    best, _ = decide(figures, work, settings, compilable=False)
    swift = replace(best, compiled=True)
    if compilable and not figures.fault and way(swift) not in figures.milliseconds:
        time_ways(work, [Speed(), swift], figures, work.batch)
    with suppress(OSError):  # then they are measured anew
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    return figures


def _key(work: Work) -> str:
    facts = [work.kind, work.weights, str(work.size_px), torch.__version__, machine()]
    facts += [str(torch.get_num_threads()), str(work.batch), str(work.network.training)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _kept(path: Path) -> Figures:
    """What an earlier run measured; nothing if there is none or it is damaged."""
    try:
        return Figures(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Figures()
