"""What Terraform's plan says there will be, module by module."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One planned resource."""

    address: str
    kind: str
    """For example aws_instance."""
    module: str
    """Address of the module that it is in; empty in the root."""
    values: Mapping[str, Any]
    """Without what only AWS can know."""


class Planned:
    """Every resource of a plan."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        """Read a plan.

        Args:
            plan: what `terraform show -json` prints of it.
        """
        root = plan.get("planned_values", {}).get("root_module", {})
        self.resources = tuple(_walk(root))

    def of(self, kind: str, module: str | None = None) -> list[Resource]:
        """All of a kind, or those in one module."""
        return [
            resource
            for resource in self.resources
            if resource.kind == kind and module in (None, resource.module)
        ]


def _walk(module: Mapping[str, Any]) -> Iterator[Resource]:
    for found in module.get("resources", ()):
        if found["mode"] == "managed":
            yield Resource(
                address=found["address"],
                kind=found["type"],
                module=module.get("address", ""),
                values=found.get("values", {}),
            )
    for child in module.get("child_modules", ()):
        yield from _walk(child)


def block(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The first block of a name; empty when there is none."""
    blocks = values.get(name) or [{}]
    found: Mapping[str, Any] = blocks[0]
    return found
