"""A model and a picture in, labels and probabilities out.

AWS's image imports the module `inference` for the four functions. In the model archive that is
this package, because Python prefers a package to the `inference.py` beside it. They are looked
up when they are asked for: the server's front process imports this package and no arrays.
"""

from importlib import import_module
from typing import Any

_FUNCTIONS = ("input_fn", "model_fn", "output_fn", "predict_fn")


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(import_module("inference.handler"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
