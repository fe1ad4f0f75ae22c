"""Terraform, driven through python-terraform: the one file that knows either.

Terraform is asked for its machine-readable output, one JSON object a line, and each line is
told as it comes: what is planned, what is being made, what went wrong.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import python_terraform
from python_terraform import IsFlagged

from pipeline.adopting import Planned
from pipeline.cli import Failed
from pipeline.turns import Turn

PLUGIN_DIED = "Plugin did not respond"
"""A loaded machine makes this of a provider that would have answered; one retry is fair."""

_DOING = {"create": "making", "update": "changing", "delete": "removing", "read": "reading"}
_DONE = {"create": "made", "update": "changed", "delete": "removed"}

Outcome = tuple[int, str, str]
"""Exit code, plain output, and what Terraform complained of."""
Action = Literal["create", "update", "delete", "replace"]


@dataclass(frozen=True, slots=True)
class Change:
    """What Terraform means to do to one resource."""

    address: str
    action: Action


class TerraformFailed(Failed):
    """Terraform said no; the message is what it said."""


class Terraform:
    """The root module of one stage."""

    def __init__(
        self,
        folder: Path,
        data: Path,
        region: str,
        tell: Callable[[str], None],
        turn: Turn | None = None,
    ) -> None:
        self._folder = folder
        self._data = data.resolve()
        self._region = region
        self._tell = tell
        self._turn = turn
        self._plan = self._data / "plan"
        self._seen = self._plan
        self.drift: tuple[str, ...] = ()
        """What the last plan found to be otherwise than it was left, by address."""
        self._planned: dict[str, Any] | None = None
        data.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "AWS_REGION": region,
            "TF_DATA_DIR": str(self._data),
            "TF_IN_AUTOMATION": "1",
        }
        rc = environment.get("TF_CLI_CONFIG_FILE")
        if rc and not Path(rc).is_file():
            del environment["TF_CLI_CONFIG_FILE"]  # Terraform would warn at every call
        self._terraform = _Streamed(folder, environment, tell, turn)

    def init(self, backend: Mapping[str, str]) -> None:
        """Fetch the provider and connect to the state."""
        self._run("init", lambda: self._terraform.init(backend_config=dict(backend)))

    def plan(
        self,
        var_files: Sequence[Path],
        variables: Mapping[str, Any],
        *,
        destroy: bool = False,
        lock: bool = True,
        targets: Sequence[str] = (),
    ) -> tuple[Change, ...] | None:
        """Find out what would change.

        Args:
            var_files: settings and release.
            variables: further ones, by name.
            destroy: plan to remove everything.
            lock: keep others from changing the state meanwhile; needless for a mere look.
            targets: only these and what they need; empty is everything.

        Returns:
            The changes, none when only outputs change; `None` when nothing does.
        """
        changes: list[Change] = []
        drift: list[str] = []
        # A mere look must not replace what an apply under way is about to do.
        self._planned = None
        self._seen = self._plan if lock else self._plan.with_name("look")

        def hear(event: Mapping[str, Any]) -> None:
            if event["type"] == "planned_change":
                action = event["change"]["action"]
                if action in {"create", "update", "delete", "replace"}:
                    changes.append(Change(event["change"]["resource"]["addr"], action))
            if event["type"] == "resource_drift":
                drift.append(event["change"]["resource"]["addr"])

        def plan() -> Outcome:
            changes.clear()
            drift.clear()
            outcome: Outcome = self._terraform.plan(
                json=IsFlagged,
                var_file=[str(file.resolve()) for file in var_files],
                var=[f"{name}={_written(value)}" for name, value in variables.items()],
                out=str(self._seen),
                destroy=IsFlagged if destroy else None,
                target=list(targets) or None,
                lock=lock,
                on_event=hear,
            )
            return outcome

        code = self._run("plan", plan, fine=(0, 2))
        self.drift = tuple(drift)
        return tuple(changes) if code == 2 else None

    def to_make(self) -> list[Planned]:
        """What the last plan would make."""
        return [
            Planned(
                address=change["address"],
                replaces="delete" in change["change"]["actions"],
                kind=change["type"],
                values=change["change"]["after"],
            )
            for change in self.planned()["resource_changes"]
            if "create" in change["change"]["actions"] and change["mode"] == "managed"
        ]

    def importing(self, ids: Mapping[str, str]) -> "Terraform":
        """The same root module, which takes over things that are there.

        Args:
            ids: what they are imported by, by address.
        """
        folder = self._data / "importing"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._folder, folder)
        blocks = [
            f"import {{\n  to = {address}\n  id = {json.dumps(id_)}\n}}\n"
            for address, id_ in ids.items()
        ]
        (folder / "imports.tf").write_text("\n".join(blocks), encoding="utf-8")
        return Terraform(folder, self._data, self._region, self._tell, self._turn)

    def show(self) -> str:
        """The last plan in full, as Terraform prints it."""
        return str(self._terraform.cmd("show", str(self._seen), no_color=IsFlagged)[1])

    def planned(self) -> dict[str, Any]:
        """The last plan, as `terraform show -json` prints it."""
        if self._planned is None:
            code, text, complaint = self._terraform.cmd("show", str(self._seen), json=IsFlagged)
            if code != 0:
                raise TerraformFailed(f"terraform show failed.\n{complaint}")
            self._planned = json.loads(text)
        return self._planned or {}

    def apply(self) -> None:
        """Do what the last plan says."""

        def apply() -> Outcome:
            outcome: Outcome = self._terraform.apply(
                str(self._plan), skip_plan=True, json=IsFlagged, on_event=self._hear
            )
            return outcome

        # Not retried: a plan that was half done is stale.
        self._run("apply", apply, attempts=1)

    def output(self, name: str) -> Any:
        """The value of one output; `None` when there is none yet."""
        # `full_value` because Terraform prints the value itself when a name is given.
        return self._terraform.output(name, full_value=True)

    def pull_state(self) -> dict[str, Any]:
        """The state, as Terraform keeps it."""
        code, text, complaint = self._terraform.cmd("state pull")
        if code != 0:
            raise TerraformFailed(f"terraform state pull failed.\n{complaint}")
        # Before the first apply there is no text at all.
        state: dict[str, Any] = json.loads(text or '{"resources": []}')
        return state

    def push_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state; its serial must be higher than the one it replaces."""
        file = self._plan.with_name("state")
        file.write_text(json.dumps(state), encoding="utf-8")
        self._run("state push", lambda: self._terraform.cmd("state push", str(file)))
        file.unlink()

    def _hear(self, event: Mapping[str, Any]) -> None:
        hook = event.get("hook", {})
        address, action = hook.get("resource", {}).get("addr", ""), hook.get("action", "")
        if event["type"] == "apply_progress" and hook.get("elapsed_seconds", 0) % 30 == 0:
            self._tell(f"  still {_DOING.get(action, action)} {address}, "
                       f"{hook['elapsed_seconds']:.0f} s")  # fmt: skip
        if event["type"] == "apply_complete" and action in _DONE:
            self._tell(f"  {_DONE[action]} {address} ({hook.get('elapsed_seconds', 0):.0f} s)")

    def _run(
        self,
        name: str,
        call: Callable[[], Outcome],
        fine: Sequence[int] = (0,),
        attempts: int = 2,
    ) -> int:
        code, _, complaint = call()
        if code not in fine and attempts > 1 and PLUGIN_DIED in complaint:
            self._tell(f"Terraform's provider did not answer; trying {name} once more.")
            code, _, complaint = call()
        if code not in fine:
            raise TerraformFailed(f"terraform {name} failed.\n{_advised(complaint.strip())}")
        return code


def _written(value: Any) -> str:
    """A variable for the command line: Terraform takes a string there as it is."""
    return value if isinstance(value, str) else json.dumps(value)


class _Streamed(python_terraform.Terraform):  # type: ignore[misc]  # it has no types
    """python-terraform builds the command; its output is heard line by line while it runs."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        tell: Callable[[str], None],
        turn: Turn | None,
    ) -> None:
        super().__init__(working_dir=str(folder))
        self._tell = tell
        self._turn = turn
        self.variables = None  # its own default becomes a temporary file at every call
        self._environment = dict(environment)

    def cmd(
        self,
        cmd: str,
        *args: str,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        **options: Any,
    ) -> Outcome:
        """Run one command."""
        command = self.generate_cmd_string(cmd, *args, **options)
        if self._turn is not None:
            self._turn.beat()
        with subprocess.Popen(
            command,
            cwd=self.working_dir,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if on_event else subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            # Terraform and its provider keep the turn for as long as one of them is alive.
            pass_fds=[] if self._turn is None else [self._turn.fd],
            process_group=0,
        ) as process:
            try:
                if on_event is None:
                    output, complaint = process.communicate()
                    return process.returncode, output, complaint or output
                lines = (_heard(line, on_event) for line in process.stdout or ())
                complaints = [text for text in lines if text]
            except KeyboardInterrupt:
                # In a group of its own Terraform hears of it once, from here: it ends in order,
                # keeps its state and frees the lock. A second Ctrl-C makes it stop at once.
                self._tell("Terraform ends what it has begun; Ctrl-C again stops it at once.")
                try:
                    process.send_signal(signal.SIGINT)
                    process.communicate()
                except KeyboardInterrupt:
                    process.send_signal(signal.SIGINT)
                    process.communicate()
                raise
        return process.returncode, "", "\n".join(complaints)


def _advised(complaint: str) -> str:
    """Terraform's words; of a lock only who holds it, and what to do here."""
    holder = re.search(r"Who: +(.+)\n(?:.*\n)*? +Created: +(.+)", complaint)
    if "Error acquiring the state lock" not in complaint or holder is None:
        return complaint
    return (
        f"{holder[1]} holds the lock of the state since {holder[2]}. Another command is under "
        "way, or one was killed. Wait for it; `make unlock` removes a lock that nobody holds."
    )


def _heard(line: str, on_event: Callable[[Mapping[str, Any]], None]) -> str:
    """Pass an event on.

    Returns:
        What to complain of, if the line is an error.
    """
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return line.rstrip()
    if event.get("type") == "diagnostic":
        found = event["diagnostic"]
        if found["severity"] != "error":
            return ""
        where = f" ({found['address']})" if found.get("address") else ""
        return f"{found['summary']}{where}\n{found.get('detail', '')}".strip()
    if "type" in event:
        on_event(event)
    return ""
