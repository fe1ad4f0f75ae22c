"""Compares a plan with a YAML file that lists only what matters."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Way = tuple[str | int, ...]
"""Keys and indexes that lead to a value in a file."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a plan has otherwise than a file says."""

    way: Way
    found: Any
    wanted: Any

    def __str__(self) -> str:
        kind, *rest = self.way
        where = ".".join(str(part) for part in rest)
        if kind == "counts":
            return f"{self.found} of {where} are planned, not {self.wanted}"
        if kind == "values" and self.found is None and len(rest) == 1:
            return f"{where} is not planned"
        return f"{kind} {where} is {self.found!r}, not {self.wanted!r}"


Finder = Callable[[Any, Mapping[str, Any]], list[Difference]]


def read(path: Path) -> dict[str, Any]:
    """One file of expectations: values, counts, outputs; for stages also variables."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def check(plan: Any, path: Path, *, regenerate: bool, also: Sequence[Finder] = ()) -> None:
    """Compare a plan with a file, or write what the plan has into what the file lists."""

    def compare() -> list[Difference]:
        wanted = read(path)
        return [one for finder in (differences, *also) for one in finder(plan, wanted)]

    found = compare()
    if found and regenerate:
        path.write_text(rewritten(path.read_text(), found))
        found = compare()
    lines = "\n  ".join(str(difference) for difference in found)
    assert not found, (
        f"{path.name} wants another plan:\n  {lines}\n"
        "If the plan is right, `make regenerate` writes it into the files that "
        "differ; read their diff."
    )


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


def differences(plan: Any, wanted: Mapping[str, Any]) -> list[Difference]:
    """Everything that is listed and planned otherwise."""
    resources = all_resources(plan)
    counts = Counter(_type(address) for address in resources)
    found: list[Difference] = []
    for address, values in wanted.get("values", {}).items():
        found += _compare(("values", address), resources.get(address), values)
    for kind, count in wanted.get("counts", {}).items():
        found += _compare(("counts", kind), counts[kind], count)
    for name, value in wanted.get("outputs", {}).items():
        found += _compare(("outputs", name), known_output(plan, name), value)
    return found


def _type(address: str) -> str:
    """aws_x of module.a[0].module.b.aws_x.this["key.with.dots"]."""
    return next(part for part in address.split(".") if part.startswith(("aws_", "terraform_")))


def _compare(way: Way, found: Any, wanted: Any) -> list[Difference]:
    if isinstance(found, str) and found[:1] in ("{", "[") and isinstance(wanted, dict | list):
        found = json.loads(found)  # a policy or a dashboard
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            difference
            for key, value in wanted.items()
            for difference in _compare((*way, key), found.get(key), value)
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [
            difference
            for index, value in enumerate(wanted)
            for difference in _compare((*way, index), found[index], value)
        ]
    return [] if found == wanted else [Difference(way, _as_listed(found, wanted), wanted)]


def _as_listed(found: Any, wanted: Any) -> Any:
    """A list of another length, with the keys only that some element of the file's list has."""
    if not (isinstance(found, list) and isinstance(wanted, list)):
        return found
    keys = {key for element in wanted if isinstance(element, dict) for key in element}
    return [
        {key: value for key, value in element.items() if key in keys and value not in ([], None)}
        if isinstance(element, dict) and keys
        else element
        for element in found
    ]


def rewritten(text: str, found: list[Difference]) -> str:
    """A file with what was found in place of what it wanted; comments and order stay.

    What is not planned at all stays listed: whether it should be is for a person to say.
    """
    tree = yaml.compose(text)
    changes = [
        (_node(tree, difference.way), difference.found)
        for difference in found
        if len(difference.way) > 2 or difference.found is not None
    ]
    for node, value in sorted(changes, key=lambda change: -change[0].start_mark.index):
        flow = yaml.safe_dump(value, default_flow_style=True, width=10_000)
        start, end = node.start_mark.index, _end(node)
        text = text[:start] + flow.removesuffix("\n").removesuffix("\n...") + text[end:]
    return text


def _node(node: Any, way: Way) -> Any:
    for part in way:
        children = dict(enumerate(node.value)) if isinstance(part, int) else {
            key.value: value for key, value in node.value
        }  # fmt: skip
        node = children[part]
    return node


def _end(node: Any) -> int:
    """Where a node ends; a block ends with its last line, not where the next thing begins."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)
