"""Who may import whom: the borders of docs/architecture.md, checked by reading every import."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
MAY_IMPORT = {
    "contract": set[str](),
    "training": {"contract"},
    "inference": {"contract"},
    "pipeline": {"contract"},
    "lambda": set[str](),
    "localaws": set[str](),
}
TORCH_LIVES_IN = ("training/", "inference/", "contract/network.py")
SDK_LIVES_IN = ("pipeline/",)
UNPICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
FUNCTION_MAY_IMPORT = {"boto3", "botocore", "PIL"}
"""The last comes with the archive, where the settings ask for it."""


def sources() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """Every module that a source names, at any depth and inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def crossings(room: str, source: str) -> set[str]:
    """The rooms that a source of ``room`` imports though it may not."""
    rooms = {name.split(".")[0] for name in imported(source)} & set(MAY_IMPORT)
    return rooms - MAY_IMPORT[room] - {room}


def room_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0]


def test_every_folder_of_src_is_a_known_room() -> None:
    rooms = {path.name for path in SRC.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(SRC)))
def test_no_import_crosses_a_border(path: Path) -> None:
    assert crossings(room_of(path), path.read_text()) == set()


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("localaws", "from inference.server import main"),
        ("pipeline", "import training.main"),
        ("contract", "def f():\n    from pipeline import deploy"),
        ("lambda", "from contract.messages import Reply"),
        ("inference", "importlib.import_module('training.data')"),
    ],
)
def test_a_crossing_import_is_seen(room: str, source: str) -> None:
    assert len(crossings(room, source)) == 1


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(SRC)))
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    names = {name.split(".")[0] for name in imported(path.read_text())}
    place = str(path.relative_to(SRC))

    assert not (names & {"torch", "torchvision"}) or place.startswith(TORCH_LIVES_IN)
    assert "sagemaker" not in names or place.startswith(SDK_LIVES_IN)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(SRC)))
def test_nothing_unpickles_and_torch_loads_tensors_only(path: Path) -> None:
    source = path.read_text()
    loads = [
        {word.arg: ast.unparse(word.value) for word in node.keywords}
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]

    assert {name.split(".")[0] for name in imported(source)} & UNPICKLERS == set()
    assert all(words.get("weights_only") == "True" for words in loads)


def test_the_function_needs_nothing_but_the_standard_library_boto3_and_maybe_pillow() -> None:
    names = {
        name.split(".")[0]
        for path in (SRC / "lambda").rglob("*.py")
        for name in imported(path.read_text())
    }
    own = {path.stem for path in (SRC / "lambda").glob("*.py")}

    assert own & set(sys.stdlib_module_names) == set()
    assert names - own - set(sys.stdlib_module_names) <= FUNCTION_MAY_IMPORT


def test_no_machine_path_and_no_package_index_is_committed() -> None:
    root = SRC.parent
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()
    # Written in two parts, so that this file does not name them itself.
    forbidden = ["index" + "-url", "py" + "pi.org", "/ro" + "ot/"]

    named = [
        (name, word)
        for name in tracked
        if (root / name).suffix not in {".jpg", ".png", ".webp", ".gif"} and (root / name).is_file()
        for word in forbidden
        if word in (root / name).read_text(encoding="utf-8", errors="ignore")
    ]

    assert named == []


def test_no_key_of_aws_and_no_private_key_is_committed() -> None:
    root = SRC.parent
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    secret = re.compile(rb"\b(AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----")

    named = [
        name
        for name in tracked
        if (root / name).is_file() and secret.search((root / name).read_bytes())
    ]

    assert named == []
