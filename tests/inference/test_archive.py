"""A model's folder that somebody tampered with: refused by name before anything is loaded."""

import json
import os
import shutil
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.inference.model import add_code, build_model, rewrite_card

from contract.model_card import CARD_FILE, GOLDEN_FILE, MAX_CARD_BYTES, WEIGHTS_FILE, read_card
from contract.strict import ContractError
from inference.archive import open_archive
from inference.runtimes.weights import read_weights

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "model"
    build_model(folder)
    add_code(folder)
    return folder


@pytest.fixture
def folder(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "model"))


def test_a_model_as_it_was_packed_is_opened(folder: Path) -> None:
    (folder / "config.yaml").write_text("applications: []")
    (folder / "deployment.py").write_text("")
    (folder / "__pycache__").mkdir()

    assert open_archive(folder).card == read_card(folder)


def instead(name: str, make: Change) -> Change:
    """Move a file away, and put something in its place."""

    def change(folder: Path) -> None:
        (folder / name).rename(folder.parent / "away")
        make(folder / name)

    return change


def card(**changes: object) -> Change:
    """Write other values into the card."""

    def change(folder: Path) -> None:
        raw = json.loads((folder / CARD_FILE).read_text())
        (folder / CARD_FILE).write_text(json.dumps(raw | changes))

    return change


def listed(name: str) -> Change:
    """Let the card list one more file, whatever is there."""

    def change(folder: Path) -> None:
        files = json.loads((folder / CARD_FILE).read_text())["files"]
        card(files={**files, name: "0" * 64})(folder)

    return change


def to(target: str) -> Change:
    return lambda path: path.symlink_to(target)


def bind(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**44 - 2**20)


WEIGHTS, CARD, GOLDEN = (f"model/{name}" for name in (WEIGHTS_FILE, CARD_FILE, GOLDEN_FILE))
ATTACKS: dict[str, tuple[Change, str]] = {
    "weights are a link": (instead(WEIGHTS_FILE, to("../away")), f"{WEIGHTS} is a symbolic link"),
    "weights are a link to nothing": (instead(WEIGHTS_FILE, to("no")), f"{WEIGHTS} is a symbolic"),
    "weights have another name": (
        lambda folder: os.link(folder / WEIGHTS_FILE, folder.parent / "x"),
        f"{WEIGHTS} has another name",
    ),
    "weights are a pipe": (instead(WEIGHTS_FILE, os.mkfifo), f"{WEIGHTS} is a pipe"),
    "weights are a socket": (instead(WEIGHTS_FILE, bind), f"{WEIGHTS} is a socket"),
    "weights are a folder": (instead(WEIGHTS_FILE, Path.mkdir), f"{WEIGHTS} is a folder"),
    "weights are endless": (instead(WEIGHTS_FILE, sparse), f"{WEIGHTS} has 17,\\d+,"),
    "weights are missing": (lambda f: (f / WEIGHTS_FILE).unlink(), f"{WEIGHTS} is missing"),
    "weights are altered": (
        lambda folder: os.truncate(folder / WEIGHTS_FILE, 5_000),
        f"{WEIGHTS} has SHA-256",
    ),
    "the golden picture is a device": (instead(GOLDEN_FILE, to("/dev/zero")), f"{GOLDEN} is a sym"),
    "the golden picture is another": (
        lambda folder: (folder / GOLDEN_FILE).write_bytes(b"other"),
        f"{GOLDEN} has SHA-256",
    ),
    "the card is missing": (lambda f: (f / CARD_FILE).unlink(), f"{CARD} does not exist"),
    "the card is a link": (instead(CARD_FILE, to("../away")), f"{CARD} is a symbolic link"),
    "the card is a pipe": (instead(CARD_FILE, os.mkfifo), f"{CARD} is a pipe"),
    "the card is huge": (
        lambda folder: (folder / CARD_FILE).write_bytes(b" " * (MAX_CARD_BYTES + 1)),
        f"{CARD} has 4,194,305 bytes",
    ),
    "the card is deep": (
        lambda folder: (folder / CARD_FILE).write_bytes(b"[" * 2_000_000),
        f"{CARD} is not JSON",
    ),
    "the card is no text": (
        lambda folder: (folder / CARD_FILE).write_bytes(b"\xff\xfe"),
        f"{CARD} is not JSON",
    ),
    "the card has a huge number": (
        lambda folder: (folder / CARD_FILE).write_text("9" * 100_000),
        f"{CARD} is not JSON",
    ),
    "the card is of another schema": (card(schema_version=2), "schema_version is 2"),
    "the card has more keys": (card(loader="os.system"), "unknown key 'loader'"),
    "the card lists what is outside": (listed("../evil"), "files lists '../evil'"),
    "the card lists another folder's": (listed("/etc/passwd"), "files lists '/etc/passwd'"),
    "the card lists a folder's": (listed("code/serve.py"), "files lists 'code/serve.py'"),
    "the card lists a hidden one": (listed(".pth"), "files lists '.pth'"),
    "the card lists what is not there": (listed("openvino.bin"), "model/openvino.bin is missing"),
    "code is a link": (
        instead("code", to("/tmp")),
        "model/code is a symbolic link",
    ),
    "something in code is a link": (
        lambda folder: (folder / "code" / "x.py").symlink_to("/etc/passwd"),
        "model/code/x.py is a symbolic link",
    ),
    "a folder in code is a link": (
        lambda folder: (folder / "code" / "more").symlink_to("/etc"),
        "model/code/more is a symbolic link",
    ),
    "deployment.py is a link": (
        lambda folder: (folder / "deployment.py").symlink_to("/etc/passwd"),
        "model/deployment.py is a symbolic link",
    ),
}
STRANGERS = (
    "weights.pt", "model.pth", "model.pkl", "pytorch_model.bin", "evil.so", "sitecustomize.py",
    "usercustomize.py", "openvino.xml", "handler.py", ".env", "MAR-INF",
)  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_not_as_the_card_says_is_refused_by_name(folder: Path, name: str) -> None:
    change, message = ATTACKS[name]
    change(folder)

    with pytest.raises(ContractError, match=message):
        open_archive(folder)


@pytest.mark.parametrize("name", STRANGERS)
def test_what_the_card_does_not_list_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\4.")

    with pytest.raises(ContractError, match=f"model/{name} does not belong to the model"):
        open_archive(folder)


def test_what_the_card_lists_may_be_there(folder: Path) -> None:
    (folder / "openvino.bin").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    known = read_card(folder)
    rewrite_card(folder, known, files={**known.files, "openvino.bin": empty})

    assert "openvino.bin" in open_archive(folder).card.files


def weights(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(begin: int, end: int, shape: Sequence[object], kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (weights({}, length=2**63), "claims a header of 9,223,372,036,854,775,808 bytes"),
        (weights({}, length=2**64 - 1), "claims a header"),
        (weights({}, length=3_000), "header is cut short"),
        (weights(b"[" * 1_000_000), "is not safetensors"),
        (weights(b'{"a":' * 1_000_000), "is not safetensors"),
        (weights([1]), "is not safetensors"),
        (weights({"a": 1}), "is not safetensors"),
        (weights({"a": tensor(0, 8, [2]), "b": tensor(0, 8, [2])}, bytes(8)), "'b' .*not follow"),
        (weights({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, bytes(12)), "'b' .*not follow"),
        (weights({"a": tensor(4, 12, [2])}, bytes(12)), "'a' .*not follow"),
        (weights({"a": tensor(8, 0, [2])}, bytes(8)), "'a' .*not follow"),
        (weights({"a": tensor(0, 8, [2])}, bytes(9)), "end at 8 of 9 bytes"),
        (weights({"a": tensor(0, 8, [2**62])}, bytes(8)), "'a' does not fit"),
        (weights({"a": tensor(0, 0, [0, 2**62, 2**62])}), "'a' does not fit"),
        (weights({"a": tensor(0, 8, [-2, -1])}, bytes(8)), "'a' does not fit"),
        (weights({"a": tensor(0, 8, [1] * 2_000 + [2])}, bytes(8)), "'a' does not fit"),
        (weights({"a": tensor(0, 8, [True, 2])}, bytes(8)), "'a' does not fit"),
        (weights({"a": tensor(0, 8, [2.0])}, bytes(8)), "'a' does not fit"),
        (weights({"a": tensor(0, 8, [2], "F64")}, bytes(8)), "'a' does not fit"),
        (weights({"a": tensor(0, 8, [2], "OBJECT")}, bytes(8)), "is not safetensors"),
        (weights({"a": tensor(0, 0, [0, *[2**31 - 1] * 7])}), "is not safetensors"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)

    with pytest.raises(ContractError, match=message):
        read_weights(path)


def test_a_pickle_in_place_of_weights_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x80\4cposix\nsystem\n(S'touch %s/evil'\ntR." % os.fsencode(tmp_path))

    with pytest.raises(ContractError, match="not safetensors"):
        read_weights(path)

    assert not (tmp_path / "evil").exists()
