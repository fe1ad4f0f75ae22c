"""Compares a plan with a YAML file that lists only what matters."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml


def read(path: Path) -> dict[str, Any]:
    """One file of expectations: values, counts, outputs; for stages also variables."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def all_resources(plan: Any) -> dict[str, dict[str, Any]]:
    """Planned values of every managed resource, by address."""
    return {resource["address"]: resource.get("values", {}) for resource in _walk(plan.root_module)}


def _walk(module: Any) -> Iterator[dict[str, Any]]:
    yield from (r for r in module.resources.values() if r["mode"] == "managed")
    for child in module.child_modules.values():
        yield from _walk(child)


def known_output(plan: Any, name: str) -> Any:
    """An output as far as a plan can know it; what it cannot is left out."""
    return plan.output_changes[name]["after"]


def differences(plan: Any, wanted: Mapping[str, Any]) -> list[str]:
    """One line for each expectation that the plan does not meet."""
    resources = all_resources(plan)
    counts = Counter(_type(address) for address in resources)
    lines = []
    for address, values in wanted.get("values", {}).items():
        if address not in resources:
            lines.append(f"{address} is not planned")
            continue
        lines += _compare(address, resources[address], values)
    for kind, count in wanted.get("counts", {}).items():
        if counts[kind] != count:
            lines.append(f"{counts[kind]} of {kind} are planned, not {count}")
    for name, value in wanted.get("outputs", {}).items():
        lines += _compare(f"output {name}", known_output(plan, name), value)
    return lines


def _type(address: str) -> str:
    """aws_x of module.a[0].module.b.aws_x.this["key.with.dots"]."""
    return next(part for part in address.split(".") if part.startswith(("aws_", "terraform_")))


def _compare(where: str, found: Any, wanted: Any) -> list[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            line
            for key, value in wanted.items()
            for line in _compare(f"{where}.{key}", found.get(key), value)
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [
            line
            for index, value in enumerate(wanted)
            for line in _compare(f"{where}[{index}]", found[index], value)
        ]
    return [] if found == wanted else [f"{where} is {found!r}, not {wanted!r}"]
