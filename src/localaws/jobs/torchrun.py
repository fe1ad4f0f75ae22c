"""The `torchrun` of an imitated host; standard library only, run by path.

On AWS the hosts of a job find each other by name, and each has port 7777 for itself. Here all are
one computer: the first host's name becomes 127.0.0.1 and the port one that is free. A single host
gets a free port as well, so that jobs side by side do not meet at torchrun's usual one.
"""

import os
import re
import sys
from collections.abc import Sequence

_NODES = re.compile(r"--nnodes=1(:1)?")
_MASTER = re.compile(r"--(master|rdzv)[_-](addr|port|endpoint|id)|--standalone")


def localised(words: Sequence[str], master_port: str) -> list[str]:
    """Arguments of torchrun, for several hosts on one computer.

    Args:
        words: as they were given, `--name value` or `--name=value`.
        master_port: free, and the same on every host of the job.
    """
    found: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        name = name.replace("-", "_").replace("__", "--", 1)
        if name in ("--master_addr", "--master_port", "--nnodes", "--node_rank"):
            value = value if equals else rest.pop(0)
            if name == "--master_addr":
                value = "127.0.0.1"
            elif name == "--master_port":
                value = master_port
            found.append(f"{name}={value}")
        else:
            found.append(word)
            takes_value = word.startswith("--") and not equals and name not in _FLAGS
            if takes_value and rest and word != "--":
                found.append(rest.pop(0))
    alone = not any(word.startswith("--nnodes") for word in found) or any(
        _NODES.fullmatch(word) for word in found
    )
    if alone and not any(_MASTER.match(word) for word in found):
        found.insert(0, "--standalone")
    return [*found, *rest]


_FLAGS = ("--help", "--module", "--no_python", "--run_path", "--standalone")
"""Options of torchrun without a value."""


def main(argv: Sequence[str]) -> int:
    """Become the real torchrun."""
    module = [sys.executable, "-m", "torch.distributed.run"]
    os.execv(sys.executable, [*module, *localised(argv[1:], argv[0])])  # noqa: S606
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
