"""`make tune`: searches hyperparameters on this machine and writes the best ones down.

A search that was stopped or killed goes on when it is started again.
"""

import argparse
import fcntl
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import NoReturn

from contract.hyperparameters import read_hyperparameters
from contract.search_space import read_search_space
from contract.strict import ContractError, require

PACKAGES = ("jinja2", "matplotlib", "optuna")
"""Of the group `tune`; machines that only train do not have them."""

STUDIES = "studies.db"


class TerminationError(KeyboardInterrupt):
    """SIGTERM came."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ContractError(f"{message}. `{self.prog} --help` lists what there is.")


def parser() -> argparse.ArgumentParser:
    """Options of the search."""
    options = _Parser(prog="training.tuning", description=__doc__, allow_abbrev=False)
    options.add_argument("--data", type=Path, required=True, help="folder of labelled pictures")
    options.add_argument("--folder", type=Path, default="build/tuning", help="study and report")
    options.add_argument("--cache-dir", type=Path, default="build/cache", help="features, pictures")
    options.add_argument("--search-space", type=Path, default="config/search_space.json")
    options.add_argument("--hyperparameters", type=Path, default="config/hyperparameters.json")
    options.add_argument("--weights", default="auto", help="auto, imagenet, random or a file")
    options.add_argument("--trials", type=int, help="in all, instead of what the space says")
    options.add_argument(
        "--workers", type=int, default=0, help="trials at once; 0 is what suits the machine"
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Search; a user's mistake is one line and exit code 2."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        tune(parser().parse_args(sys.argv[1:] if argv is None else argv))
    except ContractError as error:
        sys.stderr.write(f"tuning: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"tuning: {error}; check the path, its rights and the space left.\n")
        return 2
    except TerminationError:
        return 143
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def tune(options: argparse.Namespace) -> None:
    """Check what can be checked at once, and search.

    Raises:
        ContractError: the inputs cannot be used, or no trial succeeds.
    """
    lacking = [name for name in PACKAGES if find_spec(name) is None]
    require(
        not lacking,
        f"tuning needs {', '.join(lacking)}; `make setup` installs what "
        "requirements/tune.txt lists.",
    )
    require(options.workers >= 0, f"WORKERS is {options.workers}; it must be 1 or more.")
    base = read_hyperparameters(options.hyperparameters)
    space = read_search_space(options.search_space, base, options.trials)
    from training.tuning.session import Session
    from training.tuning.study import stored

    options.folder.mkdir(parents=True, exist_ok=True)
    with alone(options.folder), stored(options.folder / STUDIES) as storage:
        Session(options, space, base, storage).run()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a second search away from the study.

    Raises:
        ContractError: there is one already.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ContractError(
                f"another `make tune` is at work in {folder}; wait for it, or give this one a "
                "BUILD folder of its own."
            ) from None
        yield


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise TerminationError


if __name__ == "__main__":
    raise SystemExit(main())
