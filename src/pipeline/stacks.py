"""build/stack.json: what the last `make apply` made."""

import json
from pathlib import Path
from typing import Any

from contract.stack import Endpoint, Function, Stack, read_stack
from contract.strict import ContractError, require
from pipeline.cli import Place

STACK_FILE = "stack.json"


def stack_of(place: Place) -> Stack:
    """The deployed stack of a stage.

    Raises:
        ContractError: nothing is deployed, or another stage was deployed last.
    """
    path = place.build / STACK_FILE
    stack = read_stack(path)
    wanted = place.settings
    require(
        (stack.name, stack.stage, stack.region) == (wanted.name, wanted.stage, wanted.region),
        f"{path} is of {stack.name}, stage {stack.stage} in {stack.region}; "
        f"{place.settings_file} is of {wanted.name}, stage {wanted.stage} in {wanted.region}. "
        "Run `make apply` for it first.",
    )
    return stack


def live_parts(stack: Stack) -> tuple[Endpoint, Function]:
    """The endpoint and the function of a stack that serves.

    Raises:
        ContractError: it does not serve.
    """
    if stack.endpoint is None and stack.function is not None:
        raise ContractError(
            "The endpoint is off, by endpoint.mode in the settings. Change it, then `make apply`."
        )
    if stack.endpoint is None or stack.function is None:
        raise ContractError(
            "Nothing serves yet: the stack has no endpoint. `make train package apply` makes one."
        )
    return stack.endpoint, stack.function


def write_stack(value: Any, build: Path) -> Stack:
    """Write build/stack.json whole or not at all, and check what was written."""
    path = build / STACK_FILE
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    stack = read_stack(temporary)
    temporary.replace(path)
    return stack


def forget_stack(place: Place) -> None:
    """Remove build/stack.json if it is of this stage: it stands no longer."""
    path = place.build / STACK_FILE
    if path.exists() and read_stack(path).stage == place.settings.stage:
        path.unlink()
