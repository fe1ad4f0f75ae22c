"""What the roles of a stage asked for, and policies with a statement taken out."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.iam.evaluator import Question

Statement = dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """One line of decisions.jsonl."""

    role: str
    question: Question
    why_not: str | None


class Decisions:
    """The decisions of a local AWS, read as they come."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_bytes = 0
        self._found: list[Decision] = []

    def all(self) -> list[Decision]:
        """Every decision so far."""
        with self._file.open("rb") as file:
            file.seek(self._read_bytes)
            lines = file.read().split(b"\n")[:-1]
        self._read_bytes += sum(len(line) + 1 for line in lines)
        self._found += [_decision(json.loads(line)) for line in lines]
        return self._found

    def refused(self) -> list[Decision]:
        """Those that were no."""
        return [decision for decision in self.all() if decision.why_not]


def _decision(line: dict[str, Any]) -> Decision:
    question = Question(
        principal_arn=line["principal"],
        account_id=line["principal"].split(":")[4],
        action=line["action"],
        resource=line["resource"],
        context=line["context"],
    )
    return Decision(line["principal"].split("/")[1], question, line["why_not"])


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something that another process does."""
    pause = threading.Event()
    for _ in range(round(seconds / 0.1)):
        if found := holds():
            return found
        pause.wait(0.1)
    return None


@contextmanager
def without(iam: Any, role: str, policy: str, statement: Statement) -> Iterator[None]:
    """Take a statement out of a role's inline policy for a while."""
    about = {"RoleName": role, "PolicyName": policy}
    document = iam.get_role_policy(**about)["PolicyDocument"]
    rest = [one for one in document["Statement"] if one != statement]
    # IAM wants at least one statement.
    nothing = {"Sid": "Nothing", "Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:x"}
    changed = {**document, "Statement": rest or [nothing]}
    iam.put_role_policy(**about, PolicyDocument=json.dumps(changed))
    try:
        yield
    finally:
        iam.put_role_policy(**about, PolicyDocument=json.dumps(document))


def statements(iam: Any, role: str) -> list[tuple[str, Statement]]:
    """Every statement of a role, with its policy."""
    found = []
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        found += [(policy, statement) for statement in document["Statement"]]
    return found
