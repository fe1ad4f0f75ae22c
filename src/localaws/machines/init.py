"""The init of one machine: answers systemd-run, systemctl, journalctl, shutdown and cloud-init.

Options that only tune (nice, slices, limits, users) are accepted and change nothing; those that
would change what happens and are not imitated are refused by name.
"""

import getopt
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from localaws.machines.commands import (
    Answer,
    Question,
    RefusedError,
    read_seconds,
    read_systemd_run,
)
from localaws.machines.machine import Machine, MachineOffError
from localaws.machines.units import Service, Unit

UNKNOWN_UNIT = {
    "LoadState": "not-found",
    "ActiveState": "inactive",
    "SubState": "dead",
    "Result": "success",
    "MainPID": "0",
    "ExecMainPID": "0",
    "ExecMainCode": "0",
    "ExecMainStatus": "0",
}


class Init:
    """Keeps the units and timers of one machine.

    Args:
        machine: where commands run.
        power: called with `poweroff` or `reboot` when a shutdown is due; may not block.
    """

    def __init__(self, machine: Machine, power: Callable[[str], None]) -> None:
        self._machine = machine
        self._power = power
        self._lock = threading.RLock()
        self._units: dict[str, Unit] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._commands: dict[str, Callable[[Question], Answer]] = {
            "systemd-run": self._systemd_run,
            "systemctl": self._systemctl,
            "journalctl": self._journalctl,
            "shutdown": self._shutdown,
            "poweroff": lambda _: self._power_later("poweroff", 0),
            "reboot": lambda _: self._power_later("reboot", 0),
            "cloud-init": self._cloud_init,
        }

    def answer(self, question: Question) -> Answer:
        """Do what a command asks for."""
        name = question.command[0]
        try:
            return self._commands[name](question)
        except (RefusedError, getopt.GetoptError, MachineOffError) as error:
            return Answer(stderr=f"{name}: {error}\n", code=1)

    def clear(self) -> None:
        """Forget units and timers; the machine has been switched off."""
        with self._lock:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            self._units.clear()

    def _after(self, name: str, seconds: float, action: Callable[[], object]) -> None:
        with self._lock:
            if name in self._timers:
                self._timers[name].cancel()

            def due() -> None:
                with self._lock:
                    self._timers.pop(name, None)
                action()

            timer = threading.Timer(seconds, due)
            timer.daemon = True
            self._timers[name] = timer
            timer.start()

    # systemd-run

    def _systemd_run(self, question: Question) -> Answer:
        service, options = read_systemd_run(question)
        with self._lock:
            if service.name in self._units:
                raise RefusedError(
                    f"Failed to start transient service unit: Unit {service.name} was already "
                    "loaded or has a fragment file."
                )
            if "--on-active" in options:
                timer = service.name.removesuffix(".service") + ".timer"
                delay = read_seconds(options["--on-active"])
                self._after(timer, delay, lambda: self._start(service))
                return Answer(stderr=f"Running timer as unit: {timer}\n")
            unit = self._start(service)
        said = "" if "--quiet" in options else f"Running as unit: {service.name}\n"
        if "--wait" not in options:
            return Answer(stderr=said)
        unit.ended.wait()
        status = unit.properties()
        said += f"Finished with result: {status['Result']}\n"
        failed = status["Result"] != "success"
        return Answer(stderr=said, code=max(1, int(status["ExecMainStatus"])) if failed else 0)

    def _start(self, service: Service) -> Unit:
        with self._lock:
            unit = Unit(service, self._machine, self._forget)
            if not unit.ended.is_set():
                self._units[service.name] = unit
            return unit

    def _forget(self, name: str) -> None:
        with self._lock:
            self._units.pop(name, None)

    # systemctl

    def _systemctl(self, question: Question) -> Answer:
        options, arguments = getopt.gnu_getopt(
            list(question.command[1:]),
            "p:qs:",
            ["property=", "value", "no-pager", "quiet", "no-block", "signal=", "full", "all", "now",
             "plain", "no-legend", "lines=", "state=", "type="],
        )  # fmt: skip
        chosen = dict(options)
        verb = arguments[0] if arguments else "list-units"
        names = [name if "." in name else f"{name}.service" for name in arguments[1:]]
        if verb in ("is-active", "is-failed"):
            states = [self._properties(name)["ActiveState"] for name in names]
            wanted = "active" if verb == "is-active" else "failed"
            shown = "" if {"-q", "--quiet"} & chosen.keys() else _lines(states)
            return Answer(stdout=shown, code=0 if wanted in states else 3)
        if verb == "show":
            keys = [key for o, value in options if o in ("-p", "--property")
                    for key in value.split(",")]  # fmt: skip
            return Answer(
                stdout="\n".join(self._show(name, keys, "--value" in chosen) for name in names)
            )
        if verb == "status":
            return self._status(names)
        if verb in ("stop", "kill"):
            number = _signal(chosen.get("-s", chosen.get("--signal", "TERM")))
            return self._stop(names, None if verb == "stop" else number, "--no-block" in chosen)
        if verb == "reset-failed":
            with self._lock:
                for name in names or list(self._units):
                    if name in self._units and self._units[name].active_state == "failed":
                        del self._units[name]
            return Answer()
        if verb in ("poweroff", "halt", "reboot"):
            return self._power_later("reboot" if verb == "reboot" else "poweroff", 0)
        if verb == "list-units":
            return Answer(stdout=self._list(arguments[1:], chosen.get("--state")))
        if verb == "daemon-reload":
            return Answer()
        raise RefusedError(f"{verb} is not imitated on a local machine.")

    def _properties(self, name: str) -> dict[str, str]:
        with self._lock:
            if name in self._timers:
                waiting = {"LoadState": "loaded", "ActiveState": "active", "SubState": "waiting"}
                return {"Id": name, **UNKNOWN_UNIT, **waiting}
            unit = self._units.get(name)
            return unit.properties() if unit else {"Id": name, **UNKNOWN_UNIT}

    def _show(self, name: str, keys: Sequence[str], values_only: bool) -> str:
        properties = self._properties(name)
        shown = [key for key in keys if key in properties] if keys else list(properties)
        return _lines(properties[key] if values_only else f"{key}={properties[key]}"
                      for key in shown)  # fmt: skip

    def _list(self, patterns: Sequence[str], states: str | None) -> str:
        with self._lock:
            units = [unit.properties() for unit in self._units.values()]
        return _lines(
            f"{u['Id']} {u['LoadState']} {u['ActiveState']} {u['SubState']} {u['Description']}"
            for u in units
            if (not patterns or any(fnmatchcase(u["Id"], pattern) for pattern in patterns))
            and (not states or {u["ActiveState"], u["SubState"]} & set(states.split(",")))
        )

    def _status(self, names: Sequence[str]) -> Answer:
        text, code = "", 0
        for name in names:
            status = self._properties(name)
            if status["LoadState"] == "not-found":
                return Answer(stdout=text, stderr=f"Unit {name} could not be found.\n", code=4)
            text += (
                f"{name} - {status.get('Description', name)}\n"
                f"     Active: {status['ActiveState']} ({status['SubState']})\n"
                f"   Main PID: {status['ExecMainPID']} (status={status['ExecMainStatus']})\n\n"
                + _lines(self._journal(name)[-10:])
            )
            code = 0 if status["ActiveState"] in ("active", "deactivating") else 3
        return Answer(stdout=text, code=code)

    def _stop(self, names: Sequence[str], number: int | None, at_once: bool) -> Answer:
        for name in names:
            with self._lock:
                timer, unit = self._timers.pop(name, None), self._units.get(name)
            if timer:
                timer.cancel()
            elif unit is None:
                return Answer(
                    stderr=f"Failed to stop {name}: Unit {name} not loaded.\n", code=5
                )  # fmt: skip
            elif number is not None:
                unit.signal(number)
            elif unit.active_state == "active" and at_once:
                threading.Thread(target=unit.stop, daemon=True).start()
            elif unit.active_state == "active":
                unit.stop()
        return Answer()

    # the rest

    def _journalctl(self, question: Question) -> Answer:
        options, rest = getopt.gnu_getopt(
            list(question.command[1:]),
            "u:n:o:qb",
            ["unit=", "lines=", "output=", "no-pager", "quiet", "boot"],
        )
        names = [value for option, value in options if option in ("-u", "--unit")]
        if rest or not names:
            raise RefusedError("only the journal of a unit is kept: journalctl -u UNIT [-n N].")
        count = next((int(v) for o, v in options if o in ("-n", "--lines") and v != "all"), None)
        lines = [
            line
            for name in names
            for line in self._journal(name if "." in name else f"{name}.service")
        ]
        if count is not None:
            lines = lines[-count:] if count else []
        return Answer(stdout=_lines(lines))

    def _journal(self, name: str) -> list[str]:
        file = self._machine.root / "var" / "log" / "journal" / name.replace("/", "-")
        file = file.with_name(f"{file.name}.log")
        return file.read_text(errors="replace").splitlines() if file.exists() else []

    def _shutdown(self, question: Question) -> Answer:
        options, rest = getopt.gnu_getopt(
            list(question.command[1:]),
            "hPHrkc",
            ["halt", "poweroff", "reboot", "no-wall", "show"],
        )
        names = {option for option, _ in options}
        if "-c" in names:
            with self._lock:
                timer = self._timers.pop("shutdown", None)
            if timer:
                timer.cancel()
            return Answer()
        if "--show" in names or "-k" in names:
            raise RefusedError("--show and -k are not imitated on a local machine.")
        when = rest[0] if rest else "+1"
        if when != "now" and not re.fullmatch(r"\+?\d+", when):
            raise RefusedError(f"the time is {when!r}; give now or +MINUTES.")
        action = "reboot" if {"-r", "--reboot"} & names else "poweroff"
        return self._power_later(action, 0 if when == "now" else 60 * int(when))

    def _power_later(self, action: str, seconds: float) -> Answer:
        self._after("shutdown", seconds, lambda: self._power(action))
        due = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() + seconds))
        said = f"Shutdown scheduled for {due}, use 'shutdown -c' to cancel.\n"
        return Answer(stderr=said if seconds else "")

    def _cloud_init(self, question: Question) -> Answer:
        if question.command[1:2] != ("status",):
            raise RefusedError("only `cloud-init status [--wait]` is imitated.")
        if "--wait" in question.command:
            self._machine.booted.wait()
        booted, failed = self._machine.booted.is_set(), self._machine.boot_failed
        state = "running" if not booted else "error" if failed else "done"
        return Answer(stdout=f"status: {state}\n", code=1 if state == "error" else 0)


def _signal(name: str) -> int:
    try:
        return int(signal.Signals[f"SIG{name.removeprefix('SIG')}"])
    except KeyError:
        raise RefusedError(f"{name!r} is not a signal like TERM.") from None


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
