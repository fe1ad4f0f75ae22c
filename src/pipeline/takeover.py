"""Goes on where an apply that was killed has stopped."""

from collections.abc import Callable

from contract.settings import Settings
from pipeline.adopting import find_orphans, replaced
from pipeline.aws import Account
from pipeline.cli import say
from pipeline.terraform import Change, Terraform

Plan = tuple[Change, ...] | None


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
