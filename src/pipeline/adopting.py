"""Takes over what a killed apply made and Terraform's state does not know.

Terraform keeps its state every 20 seconds and when it ends. What it made in between is there,
under the very names that the next plan wants to make again. So what a plan would make is looked
up; what is there, and bears the stack's tags or belongs to a thing that does, is its own.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.aws import Account
from pipeline.existing import Tags, Values, find_existing
from pipeline.restore import KINDS

DEPOSED = "00000000"
"""Terraform's key of what is to be removed next; eight hex digits."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing that a plan would make."""

    address: str
    replaces: bool
    """Another thing has this address until then."""
    kind: str
    """Terraform's type."""
    values: Values


def find_orphans(account: Account, planned: Sequence[Planned], tags: Tags) -> dict[str, str]:
    """Which things that are to be made are there, and are the stack's own.

    Args:
        account: where to look.
        planned: what Terraform would make.
        tags: what everything of the stack bears.

    Returns:
        What they are imported by, by address.
    """
    orphans = {}
    for one in planned:
        if one.replaces and one.kind not in KINDS:
            continue  # it has the name of the one it replaces
        found = find_existing(account, one.kind, one.values)
        if found is not None and (found.tags is None or tags.items() <= found.tags.items()):
            orphans[one.address] = found.id
    return orphans


def replaced(state: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The state with what was made to replace others as current, and the others as deposed.

    Args:
        state: as `terraform state pull` gives it.
        names: of the new things, by address.
    """
    changed = copy.deepcopy(dict(state))
    for resource in changed["resources"]:
        parts = (resource.get("module"), resource["type"], resource["name"])
        address = ".".join(part for part in parts if part)
        if address in names:
            (old,) = (i for i in resource["instances"] if "deposed" not in i)
            resource["instances"].append(_renamed(old, names[address]))
            old["deposed"] = DEPOSED
    changed["serial"] += 1
    return changed


def _renamed(instance: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The same thing under another name; Terraform reads the rest when it plans."""
    new = copy.deepcopy(dict(instance))
    arn = new["attributes"]["arn"].rpartition("/")[0]
    new["attributes"] |= {"arn": f"{arn}/{name}", "id": name, "name": name}
    return new
