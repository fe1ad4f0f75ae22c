"""Writes down what each role asked for and how it was decided, one JSON object a line."""

import json
import threading
from pathlib import Path

from localaws.iam.evaluator import Question

_PASSING = frozenset({"aws:currenttime", "aws:epochtime", "aws:useragent", "aws:userid"})
"""Differ from call to call, so nothing can be learnt from them."""


class Decisions:
    """The file decisions.jsonl: the material for a policy that is as narrow as it can be."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.touch()
        self._lock = threading.Lock()

    def write(self, question: Question, why_not: str | None) -> None:
        """Write one decision; `why_not` is null where it was allowed."""
        context = {
            key: list(values) for key, values in question.context.items() if key not in _PASSING
        }
        line = json.dumps(
            {
                "principal": question.principal_arn,
                "action": question.action,
                "resource": question.resource,
                "context": context,
                "why_not": why_not,
            }
        )
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
