"""What all verbs share: options, one-line errors, exit codes, and how they talk.

Exit codes: 0 done; 1 something failed out there; 2 something must be put right first;
130 interrupted.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

from contract.settings import Settings, read_settings
from contract.strict import ContractError, require

GONE = frozenset({"InvalidInstanceID.NotFound", "NoSuchBucket", "ResourceNotFoundException"})
"""Codes that come when what build/stack.json names is no longer there."""


class Failed(Exception):  # noqa: N818 - it is no programming error
    """Something went wrong in the account; the message says what, and what stands now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a verb works."""

    settings: Settings
    settings_file: Path
    build: Path
    """Everything that is made on this machine lies below."""


def say(text: str = "") -> None:
    """Write one line of the story."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def verb_parser(description: str | None) -> argparse.ArgumentParser:
    """A command line with the options that every verb has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stage", choices=("local", "aws"), default="local")
    parser.add_argument(
        "--settings", type=Path, help="another file than config/<stage>.tfvars.json"
    )
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder for what is made")
    return parser


def find_place(options: argparse.Namespace) -> Place:
    """Read the stage's settings.

    Raises:
        ContractError: the settings are not right.
    """
    file = options.settings or Path("config") / f"{options.stage}.tfvars.json"
    settings = read_settings(file)
    require(
        settings.stage == options.stage,
        f"{file} says stage {settings.stage!r}; it must say {options.stage!r}.",
    )
    return Place(settings=settings, settings_file=file, build=options.build)


def run_verb(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    verb: Callable[[argparse.Namespace], None],
) -> int:
    """Run a verb and turn what can go wrong into one line and an exit code."""
    options = parser.parse_args(argv)
    # A verb that is ended clears up as one that is interrupted.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        verb(options)
    except ContractError as error:
        return _complain(str(error), 2)
    except NoCredentialsError:
        return _complain(
            "No AWS credentials were found. Sign in (aws sso login, or AWS_PROFILE=...), "
            "or use STAGE=local, which needs no account.",
            2,
        )
    except NoRegionError as error:
        return _complain(str(error), 2)
    except EndpointConnectionError as error:
        return _complain(f"{error} Is the network up, or was the local AWS stopped?", 1)
    except ClientError as error:
        detail = error.response["Error"]
        code = detail.get("Code")
        hint = (
            ". If it was removed, as `make local-down` removes all of the local AWS, "
            "`make apply` makes it again."
        )
        return _complain(
            f"AWS answered {error.operation_name} with {code}: "
            f"{detail.get('Message')}{hint if code in GONE else ''}",
            1,
        )
    except (BotoCoreError, Failed) as error:
        return _complain(str(error), 1)
    except OSError as error:
        return _complain(f"{error}. Check the path, its rights and the space left.", 2)
    except KeyboardInterrupt:
        return _complain("Interrupted.", 130)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def confirm(question: str) -> None:
    """Ask before something that costs or destroys.

    Raises:
        ContractError: the answer was not yes, or nobody is there to answer.
    """
    require(
        sys.stdin.isatty(), f"{question} Nobody is there to answer: add --yes if that is meant."
    )
    try:
        answer = input(f"{question} Type yes to go on: ")
    except EOFError:  # Ctrl-D
        answer = ""
    require(answer.strip() == "yes", "Stopped: nothing was done.")


def _complain(message: str, code: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"Error: {message}\n")
    return code
