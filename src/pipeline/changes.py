"""Says what Terraform means to do, so that a person can read it."""

from collections.abc import Sequence

from pipeline.terraform import Change

SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
WORDS = {"create": "to make", "update": "to change", "replace": "to replace", "delete": "to remove"}

COSTLY = {
    "aws_instance": "the training instance: by the hour while it runs; it goes off when idle",
    "aws_lambda_provisioned_concurrency_config": "warm Lambda copies: by the hour, always",
    "aws_nat_gateway": "a NAT gateway: by the hour, always",
    "aws_sagemaker_endpoint": "the endpoint: by the hour for each instance, day and night",
    "aws_sagemaker_notebook_instance": "the notebook: by the hour while it runs",
    "aws_vpc_endpoint": "VPC endpoints: by the hour each, always",
}
"""What new resources of these types cost, by type."""


def summary(changes: Sequence[Change] | None) -> str:
    """One line per resource, then the counts."""
    if changes is None:
        return "No changes."
    if not changes:
        return "No resource changes; only outputs do."
    order = list(SIGNS)
    lines = [
        f"  {SIGNS[change.action]} {change.address}"
        for change in sorted(changes, key=lambda c: (order.index(c.action), c.address))
    ]
    counts = [
        f"{sum(c.action == action for c in changes)} {WORDS[action]}"
        for action in order
        if any(c.action == action for c in changes)
    ]
    return "\n".join([*lines, f"Changes: {', '.join(counts)}."])


def costs(changes: Sequence[Change]) -> list[str]:
    """What will cost money that did not before."""
    made = {_type(change.address) for change in changes if change.action == "create"}
    return [COSTLY[kind] for kind in sorted(made & COSTLY.keys())]


def _type(address: str) -> str:
    """`aws_instance` of `module.ec2_training["x"].aws_instance.this["a.b"]`."""
    return next((word for word in address.split(".") if word.startswith("aws_")), "")
