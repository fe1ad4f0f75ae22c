"""`python -m training.launch --processes 2 ...`: training.main in several processes of one machine.

It is `torchrun --standalone`, without torchrun's own stack traces: the process that fails says why,
and its exit code is this one's.
"""

import argparse
import logging
import os
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

SIGNALLED = 128
"""Added to a signal's number in an exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Start the processes and wait for them; what is no option here is for training.main."""
    options = argparse.ArgumentParser(prog="training.launch", description=__doc__)
    options.add_argument("--processes", type=int, required=True, help="as many as there are GPUs")
    given, rest = options.parse_known_args(argv)
    logging.disable(logging.ERROR)  # torchrun tells of each process that it ends
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # or torchrun says that it sets it
    words = ["--standalone", f"--nproc-per-node={given.processes}", "--module", "training.main"]
    try:
        run(parse_args([*words, *rest]))  # type: ignore[no-untyped-call]  # torch's stubs lack them
    except ChildFailedError as error:
        code = int(error.get_first_failure()[1].exitcode)
        return code if code > 0 else SIGNALLED - code
    except SignalException as stop:
        return SIGNALLED + int(stop.sigval)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
