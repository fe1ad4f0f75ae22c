"""`python -m localaws`: start, stop and use the local AWS."""

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from localaws import assume, control
from localaws.interrupt import interrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command: list[str] = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1 :]
    options = _parser().parse_args(arguments)
    try:
        return _run(options, command)
    except control.ControlError as error:
        print(f"localaws: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `logs | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localaws", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    for verb, text in (
        ("up", "start it, unless it runs"),
        ("down", "stop it and everything it started"),
        ("status", "say whether it runs"),
        ("logs", "print its log"),
        ("interrupt", "take the spot instances of a training job away"),
        ("env", "print what to export to use it from a shell"),
        ("run", "start it unless it runs, then run a command in it: run -- aws s3 ls"),
    ):
        one = verbs.add_parser(verb, help=text, description=text)
        one.add_argument("--folder", type=Path, default=Path("build/local"), help="where it lives")
        if verb in ("up", "run"):
            one.add_argument("--region", default=region, help="used by a fresh start")
        if verb == "interrupt":
            one.add_argument("job", metavar="JOB", help="name of the training job")
        if verb == "run":
            one.add_argument("--role", metavar="NAME", help="run it with this role's rights only")
        if verb == "logs":
            one.add_argument("--follow", action="store_true", help="print new lines as they come")
    return parser


def _run(options: argparse.Namespace, command: list[str]) -> int:
    folder: Path = options.folder
    if options.verb == "up":
        address = control.up(folder, options.region)
        _say(f"The local AWS listens on {address.url} (process {address.pid}).")
        return 0
    if options.verb == "down":
        was_up = control.down(folder)
        _say("The local AWS is down." if was_up else "The local AWS was not up.")
        return 0
    if options.verb == "run":
        return _exec(control.up(folder, options.region), command, options.role)
    if options.verb == "logs":
        return _logs(folder, follow=options.follow)
    found = control.find(folder)
    if found is None:
        raise control.ControlError(
            f"no local AWS runs in {folder}; `python -m localaws up --folder {folder}` starts one."
        )
    if options.verb == "env":
        _say(f"unset {' '.join(control.removed())}")
        for name, value in control.variables(found).items():
            _say(f"export {name}={shlex.quote(value)}")
        return 0
    if options.verb == "interrupt":
        interrupt(folder, found, options.job)
        _say(f"The instances of {options.job} are taken away; it starts again by itself.")
        return 0
    _say(f"The local AWS listens on {found.url} (process {found.pid}), region {found.region}.")
    return 0


def _exec(address: control.Address, command: list[str], role: str | None) -> int:
    if not command:
        raise control.ControlError("run needs a command: python -m localaws run -- aws s3 ls")
    environment = control.environment(address, os.environ)
    if role:
        environment |= assume.keys_of(address, role)
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        raise control.ControlError(f"{command[0]} is not on PATH.")
    sys.stdout.flush()
    os.execve(program, command, environment)  # noqa: S606 - the command is the user's own
    return 0


def _logs(folder: Path, *, follow: bool) -> int:
    path = folder / "gateway.log"
    if not path.exists():
        raise control.ControlError(f"{path} does not exist; nothing was started there.")
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            for line in file:
                sys.stdout.write(line)
            sys.stdout.flush()
            if not follow:
                return 0
            time.sleep(0.3)


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
