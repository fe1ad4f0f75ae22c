"""The machines of a job, which all are this computer: one root folder each.

A container finds its files at /opt/ml, for which nobody needs rights here: it is
`<host's root>/opt/ml`, and texts that name /opt/ml are written anew for each host. See
docs/decisions/0140-rewrite-opt-ml.md.
"""

import random
import re
import shlex
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DRIVERS_CHANNEL = "sm_drivers"
"""Where the SageMaker SDK puts the scripts that start a training script; they name /opt/ml."""
LOOPBACK = "lo" if sys.platform.startswith("linux") else "lo0"
PORTS = range(15_000, 32_000)
"""Below those that systems give to outgoing connections, so that a free one stays free."""
_OPT_ML = re.compile(r"(?<![\w.~-])/opt/ml(?![\w.-])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One of the machines of a job."""

    name: str
    """algo-1 and so on."""
    root: Path
    """Stands for `/`."""

    @property
    def base(self) -> Path:
        """Stands for /opt/ml."""
        return self.root / "opt" / "ml"

    @property
    def programs(self) -> Path:
        """Programs of this host that come before those of this computer."""
        return self.root / "bin"

    def local(self, text: str) -> str:
        """A path of the container, or a text that names some, on this computer."""
        return _OPT_ML.sub(lambda _: str(self.base), text)

    def localised(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob's parameters with hyperparameters and environment of this host."""
        texts = {
            member: {name: self.local(text) for name, text in params[member].items()}
            for member in ("Environment", "HyperParameters")
            if member in params
        }
        return {**params, **texts}

    def localise_drivers(self) -> None:
        """Write the SDK's own scripts anew for this host."""
        for file in sorted((self.base / "input" / "data" / DRIVERS_CHANNEL).rglob("*")):
            if file.suffix in (".json", ".py", ".sh") and file.is_file():
                text = file.read_text(encoding="utf-8")
                file.write_text(self.local(text), encoding="utf-8")

    def write_programs(self, master_port: int) -> None:
        """Make the `torchrun` of this host; see torchrun.py."""
        self.programs.mkdir(parents=True, exist_ok=True)
        script = Path(__file__).with_name("torchrun.py")
        words = shlex.join([sys.executable, "-E", str(script), str(master_port)])
        file = self.programs / "torchrun"
        file.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        file.chmod(0o755)


def hosts(root: Path, count: int) -> list[Host]:
    """The machines of a job."""
    return [Host(name=f"algo-{n}", root=root / f"algo-{n}") for n in range(1, count + 1)]


def free_port() -> int:
    """A port of this computer that nobody listens on."""
    chance = random.SystemRandom()
    for _ in range(1000):
        port = chance.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("No port between 15000 and 31999 is free.")
