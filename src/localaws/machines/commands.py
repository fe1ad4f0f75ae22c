"""The command lines of a machine's init: what was typed, what is answered, `systemd-run`."""

import getopt
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localaws.machines.units import Service

IGNORED_PROPERTIES = {
    "CPUQuota", "CPUWeight", "CollectMode", "Group", "IOWeight", "KillMode", "LimitNOFILE",
    "MemoryHigh", "MemoryMax", "Nice", "OOMPolicy", "OOMScoreAdjust", "PrivateTmp", "Restart",
    "SendSIGKILL", "SyslogIdentifier", "TasksMax", "Type", "UMask", "User",
}  # fmt: skip
_SPAN = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hr": 3600, "hour": 3600,
         "hours": 3600, "d": 86400, "day": 86400, "seconds": 1, "minutes": 60}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One command, as it was typed on the machine."""

    command: tuple[str, ...]
    cwd: Path
    environment: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the command prints and how it ends."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0


class RefusedError(Exception):
    """The command is wrong, or not imitated."""


def read_systemd_run(question: Question) -> tuple[Service, dict[str, str]]:
    """Understand a `systemd-run` command line.

    Returns:
        The service, and the options that say how to start it, by their long names.
    """
    options, command = getopt.getopt(
        list(question.command[1:]),
        "u:p:E:GdrqP",
        ["unit=", "property=", "setenv=", "collect", "working-directory=", "same-dir", "uid=",
         "gid=", "nice=", "slice=", "description=", "wait", "quiet", "no-block", "no-ask-password",
         "remain-after-exit", "service-type=", "on-active=", "system", "timer-property="],
    )  # fmt: skip
    environment: dict[str, str] = {}
    properties: list[tuple[str, str]] = []
    chosen: dict[str, str] = {}
    for option, value in options:
        if option in ("-p", "--property"):
            name, equals, setting = value.partition("=")
            if not equals:
                raise RefusedError(f"-p {value} must be NAME=VALUE.")
            properties.append((name, setting))
        elif option in ("-E", "--setenv"):
            name, equals, setting = value.partition("=")
            environment[name] = setting if equals else question.environment.get(name, "")
        else:
            short = {"-u": "--unit", "-G": "--collect", "-d": "--same-dir",
                     "-r": "--remain-after-exit", "-q": "--quiet"}  # fmt: skip
            chosen[short.get(option, option)] = value
    if "-P" in chosen:
        raise RefusedError("--pipe is not imitated; read the unit's journal.")
    if not command:
        raise RefusedError("Command line to execute required.")
    name = chosen.get("--unit", f"run-u{time.time_ns()}")
    if re.fullmatch(r"[A-Za-z0-9:_.@\\-]+", name) is None:
        raise RefusedError(f"the unit's name is {name!r}; letters, digits and :_.@- make one.")
    more = _read_properties(properties, environment)
    if "--working-directory" in chosen or "--same-dir" in chosen:
        more["working_directory"] = Path(chosen.get("--working-directory", question.cwd))
    service = Service(
        name=name if name.endswith(".service") else f"{name}.service",
        command=tuple(command),
        environment=environment,
        collect="--collect" in chosen,
        remain_after_exit="--remain-after-exit" in chosen,
        description=chosen.get("--description", str(more.pop("description", ""))),
        **more,  # type: ignore[arg-type]  # each is parsed to its field's kind
    )
    return service, chosen


def _read_properties(
    properties: Sequence[tuple[str, str]], environment: dict[str, str]
) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in properties:
        if name == "Environment":
            environment |= dict(pair.partition("=")[::2] for pair in shlex.split(value))
        elif name == "WorkingDirectory":
            found["working_directory"] = Path(value)
        elif name == "Description":
            found["description"] = value
        elif name == "RuntimeMaxSec" and value != "infinity":
            found["runtime_max_seconds"] = read_seconds(value)
        elif name == "TimeoutStopSec":
            found["timeout_stop_seconds"] = read_seconds(value)
        elif name == "ExecStopPost":
            found["stop_post"] = value.lstrip("-")
        elif name in ("StandardOutput", "StandardError") and ":" in value:
            kind, _, file = value.partition(":")
            if kind not in ("append", "file", "truncate"):
                raise RefusedError(f"{name}={value}: only append:, file: and journal are imitated.")
            if kind == "truncate":
                Path(file).unlink(missing_ok=True)
            if found.setdefault("output", Path(file)) != Path(file):
                raise RefusedError("StandardOutput and StandardError must be the same file.")
        elif name in ("StandardOutput", "StandardError") and value in ("journal", "inherit"):
            pass
        elif name not in IGNORED_PROPERTIES or (name == "Restart" and value != "no"):
            raise RefusedError(f"the property {name}={value} is not imitated on a local machine.")
    return found


def read_seconds(text: str) -> float:
    """Seconds of a time span as systemd writes it: `90`, `4h`, `1h 30min`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
    if not parts or any(unit not in _SPAN for _, unit in parts):
        raise RefusedError(f"{text!r} is not a time span like 90, 4h or 30min.")
    return float(sum(float(number) * _SPAN[unit] for number, unit in parts))
