"""The stages of a backbone, from the pictures to the features, and the cut between two of them.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels,
F = features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from contract.strict import require

CONTAINERS = {"features", "encoder", "layers", "trunk_output", "blocks"}
"""What torchvision calls a part that only holds stages, one after the other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Layers of a backbone that freeze or learn together."""

    name: str
    """As in the backbone, of its first part."""
    paths: tuple[str, ...]
    """Its parts, in order."""
    parameters: tuple[nn.Parameter, ...]


NORMALISATIONS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def stages_of(backbone: nn.Module) -> list[Stage]:
    """Divide a backbone into its stages.

    They are the parts that torchvision's own code names: `conv1`, `layer1` to `layer4` of a
    resnet, the blocks of `features`, the layers of a transformer's `encoder`. A normalisation
    between two parts belongs to the one before it; what belongs to no part, such as a position
    embedding, to the first.
    """
    found: list[tuple[str, list[str]]] = []
    for path in parts(backbone):
        if found and only_normalises(backbone.get_submodule(path)):
            found[-1][1].append(path)
        else:
            found.append((path, [path]))
    stages = []
    seen: set[nn.Parameter] = set()
    for name, paths in found:
        own = [p for path in paths for p in backbone.get_submodule(path).parameters()]
        seen.update(own)
        stages.append((name, paths, own))
    stages[0][2].extend(p for p in backbone.parameters() if p not in seen)
    return [
        Stage(name=name, paths=tuple(paths), parameters=tuple(own)) for name, paths, own in stages
    ]


def parts(module: nn.Module, prefix: str = "") -> list[str]:
    """Paths of the parts that have parameters, in the order in which they are run."""
    found: list[str] = []
    for name, child in module.named_children():
        if next(child.parameters(), None) is None:
            continue
        path = f"{prefix}{name}"
        found += parts(child, f"{path}.") if name in CONTAINERS else [path]
    return found


def only_normalises(module: nn.Module) -> bool:
    """Whether nothing but normalisation in a part has parameters."""
    owners = [
        layer for layer in module.modules() if next(layer.parameters(False), None) is not None
    ]
    return all(isinstance(layer, NORMALISATIONS) for layer in owners)


def first_learning(stages: Sequence[Stage], wanted: int, name: str) -> int:
    """The place of the first stage that learns, when the last ones do.

    Args:
        stages: of the backbone.
        wanted: how many learn; 0 is all.
        name: of the backbone.

    Raises:
        ContractError: there are not so many.
    """
    require(
        wanted <= len(stages),
        f"stages is {wanted}; {name} has {len(stages)}: "
        f"{', '.join(stage.name for stage in stages)}. Name so many or fewer, or 0 for all.",
    )
    return len(stages) - wanted if wanted else 0


class _Tracer(fx.Tracer):
    """Looks into containers, and at each part of a stage as one step."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__()
        self.paths = paths

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self.paths or super().is_leaf_module(
            m, module_qualified_name
        )


def cut(backbone: nn.Module, stages: Sequence[Stage], first: int) -> tuple[nn.Module, nn.Module]:
    """Cut a backbone before a stage; both halves run the backbone's own layers.

    Args:
        backbone: in eval mode.
        stages: its stages.
        first: the place of the first stage of the second half, above 0.

    Returns:
        Pictures (B, C, S, S) to maps, and maps to features (B, F).

    Raises:
        ContractError: the second half needs more than what the stage before it says.
    """
    graph = _Tracer({path for stage in stages for path in stage.paths}).trace(backbone)
    nodes = list(graph.nodes)
    given, answer = nodes[0], nodes[-1].args[0]
    maps = next(node for node in nodes if node.target == stages[first].paths[0]).args[0]
    return half(backbone, nodes, given, maps), half(backbone, nodes, maps, answer)


def half(backbone: nn.Module, nodes: Sequence[fx.Node], given: Any, wanted: Any) -> nn.Module:
    """The part of a traced network that leads from one value to another."""
    needed, waiting = {given}, [wanted]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            require(
                node.op != "placeholder",
                f"{type(backbone).__name__} cannot be cut at {given}: later layers look back "
                "behind it. Choose another number of stages.",
            )
            needed.add(node)
            waiting += node.all_input_nodes
    graph = fx.Graph()
    copies = {given: graph.placeholder("given")}
    for node in nodes:
        if node in needed and node is not given:
            copies[node] = graph.node_copy(node, lambda earlier: copies[earlier])
    graph.output(copies[wanted])
    return fx.GraphModule(backbone, graph)
