"""What the doctor says: one line for each finding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.aws import error_code
from pipeline.cli import Failed

Sign = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    sign: Sign
    what: str
    remedy: str = ""
    """What to do; empty where nothing is to be done."""

    @property
    def line(self) -> str:
        """As it is printed."""
        return f"{self.sign:<4}  {self.what}{f'  -> {self.remedy}' if self.remedy else ''}"


def ok(what: str) -> Finding:
    """Nothing is to be done."""
    return Finding("ok", what)


def warn(what: str, remedy: str) -> Finding:
    """It works, but somebody should look."""
    return Finding("warn", what, remedy)


def fail(what: str, remedy: str) -> Finding:
    """The next verb would fail, or something costs or serves what it should not."""
    return Finding("fail", what, remedy)


def looked_at(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A check's findings; what it may not or cannot see is a finding too."""
    try:
        yield from check()
    except ClientError as error:
        said = f"AWS answered {error.operation_name} with {error_code(error)}"
        detail = " ".join(str(error.response["Error"].get("Message", "")).split())
        yield warn(f"{name} could not be looked at: {said}", f"{detail or 'allow this call'}")
    except (BotoCoreError, Failed) as error:
        yield warn(f"{name} could not be looked at", " ".join(str(error).split()))
