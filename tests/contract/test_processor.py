"""What a processor is found to compute."""

from pathlib import Path

import pytest

from contract.processor import Processor, cpu_flags, find_processor, from_flags

AVX512 = "avx2 avx512f avx512bw avx512vl avx512dq"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("sse2 avx", Processor(level="none", bf16=False, int8=False)),
        ("avx2 fma", Processor(level="avx2", bf16=False, int8=False)),
        ("avx2 avx_vnni", Processor(level="avx2", bf16=False, int8=True)),
        ("avx2 avx512f", Processor(level="avx2", bf16=False, int8=False)),
        (AVX512, Processor(level="avx512", bf16=False, int8=False)),
        (f"{AVX512} avx512_vnni", Processor(level="avx512", bf16=False, int8=True)),
        (f"{AVX512} avx512_bf16", Processor(level="avx512", bf16=True, int8=False)),
        (
            f"{AVX512} amx_tile amx_int8 amx_bf16",
            Processor(level="amx", bf16=True, int8=True),
        ),
    ],
)
def test_a_processor_is_known_by_its_flags(flags: str, expected: Processor) -> None:
    assert from_flags(frozenset(flags.split())) == expected


def test_flags_are_those_of_the_first_processor(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx2\nvmx flags\t: vnmi\n\nflags : other\n")

    assert cpu_flags(file) == {"fpu", "avx2"}


def test_where_linux_says_nothing_openvino_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = tmp_path / "cpuinfo"
    arm.write_text("processor : 0\nFeatures : fp asimd\n")
    for file in (arm, tmp_path / "absent"):
        monkeypatch.setattr("contract.processor.CPU_FILE", file)

        assert find_processor(lambda: ["FP32", "BF16"]).bf16
        assert find_processor(lambda: ["FP32"]) == Processor(level="none", bf16=False, int8=False)
