"""Which runtime serves, by the card, the processor and what is asked for."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contract.model_card import ModelCard
from contract.processor import Processor
from contract.runtimes import PRECISIONS, Precision
from contract.strict import ContractError
from inference.archive import Archive
from inference.runtimes import choose as choosing
from inference.runtimes.choose import choose, read_precision, runtimes
from training.runtimes.judge import absent

AMX = Processor(level="amx", bf16=True, int8=True)
AVX512 = Processor(level="avx512", bf16=False, int8=True)
AVX2 = Processor(level="avx2", bf16=False, int8=False)


def card(*accepted: Precision) -> ModelCard:
    """A card of three runtimes, some of them accepted."""
    entries = []
    for precision in PRECISIONS:
        entry = absent(precision, "it loses 9 points of accuracy", 0.5)
        if precision in accepted:
            entry = dataclasses.replace(entry, accepted=True, refused=None, golden_probability=0.5)
        entries.append(entry)
    return cast(ModelCard, SimpleNamespace(runtimes=tuple(entries)))


@pytest.mark.parametrize(
    ("accepted", "processor", "order"),
    [
        (("fp32", "bf16", "int8"), AMX, ["int8", "bf16", "fp32"]),
        (("fp32", "bf16"), AMX, ["bf16", "fp32"]),
        (("fp32", "bf16", "int8"), AVX512, ["int8", "fp32"]),
        (("fp32", "bf16", "int8"), AVX2, ["fp32"]),
        (("bf16",), AVX2, []),
    ],
)
def test_the_fastest_that_is_accepted_and_computed_comes_first(
    accepted: tuple[Precision, ...], processor: Processor, order: list[str]
) -> None:
    found = choose(card(*accepted), None, processor)

    assert [runtime.precision for runtime in found] == order


def test_what_is_asked_for_is_the_only_one() -> None:
    found = choose(card("fp32", "bf16", "int8"), "bf16", AMX)

    assert [runtime.precision for runtime in found] == ["bf16"]


@pytest.mark.parametrize(
    ("wanted", "processor", "says"),
    [
        ("bf16", AMX, r"refused openvino-bf16: it loses 9 points of accuracy\. Set .* auto"),
        ("int8", AVX2, r"this processor \(avx2\) does not multiply 8-bit integers .* auto"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_sentence(
    wanted: Precision, processor: Processor, says: str
) -> None:
    with pytest.raises(ContractError, match=says):
        choose(card("fp32", "int8"), wanted, processor)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, None), ({"PRECISION": ""}, None), ({"PRECISION": "auto"}, None)]
    + [({"PRECISION": name}, name) for name in PRECISIONS],
)
def test_the_environment_says_which(environment: dict[str, str], expected: str | None) -> None:
    assert read_precision(environment) == expected


def test_a_precision_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match="PRECISION is 'fp16'; it must be one of auto, fp32"):
        read_precision({"PRECISION": "fp16"})


@pytest.mark.parametrize("installed", [True, False])
def test_without_openvino_or_its_files_torch_serves(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "has_openvino", lambda: installed)
    some: Any = card() if installed else card("fp32")
    archive = Archive(card=some, folder=Path())

    (only,) = runtimes(archive, None, threads=1)

    assert cast(Any, only).func.__module__ == "inference.runtimes.torch_eager"
    with pytest.raises(ContractError, match="PRECISION is bf16, and .*auto or fp32"):
        runtimes(archive, "bf16", threads=1)
