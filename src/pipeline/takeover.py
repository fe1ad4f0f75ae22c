"""Goes on where an apply that was killed has stopped."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from contract.settings import Settings
from pipeline.adopting import find_orphans, replaced
from pipeline.aws import Account, pages
from pipeline.cli import say
from pipeline.restore import KINDS, serving_names
from pipeline.terraform import Change, Terraform

Plan = tuple[Change, ...] | None


def sweep(account: Account, name: str, state: Mapping[str, Any]) -> None:
    """Delete models and configurations of the stack that nothing uses.

    Their names say what they are made of, so a release that is deployed once more would make
    them once more, and fail.

    Args:
        account: where they are.
        name: the stack's, and the endpoint's.
        state: as `terraform state pull` gives it; what is current in it stays.
    """
    kept = serving_names(account, name) | {
        instance["attributes"]["name"]
        for resource in state["resources"]
        if resource["type"] in KINDS
        for instance in resource["instances"]
        if "deposed" not in instance
    }
    sagemaker = account.client("sagemaker")
    for kind, operation in (("EndpointConfig", "endpoint_config"), ("Model", "model")):
        field = f"{kind}Name"
        listed = pages(sagemaker, f"list_{operation}s", f"{kind}s", NameContains=name)
        for found in [item[field] for item in listed]:
            if re.fullmatch(f"{re.escape(name)}-[0-9a-f]{{12}}", found) and found not in kept:
                getattr(sagemaker, f"delete_{operation}")(**{field: found})
                say(f"Removed {found}, which nothing uses.")


def take_over(
    account: Account, settings: Settings, root: Terraform, plan: Callable[[Terraform], Plan]
) -> tuple[Terraform, Plan]:
    """Plan until nothing is to be made that is there already.

    Args:
        account: where to look.
        settings: of the stage.
        root: the root module.
        plan: makes the plan.

    Returns:
        The root module that takes over what it finds, and its plan.
    """
    tags = {"project": settings.name, "stage": settings.stage}
    terraform, changes = root, plan(root)
    imported: dict[str, str] = {}
    seen: set[str] = set()
    while changes is not None:
        planned = [one for one in terraform.to_make() if one.address not in seen]
        orphans = find_orphans(account, planned, tags)
        if not orphans:
            break
        seen |= orphans.keys()
        for address in orphans:
            say(f"  there already: {address}")
        successors = {one.address for one in planned if one.replaces} & orphans.keys()
        if successors:
            names = {address: orphans.pop(address) for address in successors}
            terraform.push_state(replaced(terraform.pull_state(), names))
        imported |= orphans
        terraform = root.importing(imported) if imported else root
        changes = plan(terraform)
    return terraform, changes
