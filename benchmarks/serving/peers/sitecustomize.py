"""Lets a peer import torchvision beside a CPU build of torch; Python loads this file by its name.

The registry's torchvision cannot load its compiled operators there, and its import then fails on
two of them that classification never calls. They are declared, as `contract.network` does.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


class _Declare:
    """Acts once, just before torchvision is imported."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Declare the operators if they cannot be loaded, and leave the import to others."""
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        import torch

        spec = PathFinder.find_spec(name)
        for library in Path(str(spec.origin)).parent.glob("_C*.so") if spec else ():
            try:
                torch.ops.load_library(library)  # type: ignore[no-untyped-call]  # torch does not say
            except OSError:
                for operator in ("nms", "qnms"):
                    torch.library.define(
                        f"torchvision::{operator}",
                        "(Tensor dets, Tensor scores, float t) -> Tensor",
                    )
        return None


sys.meta_path.insert(0, _Declare())
