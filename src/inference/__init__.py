"""A model and a picture in, labels and probabilities out.

AWS's image imports the module `inference` for the four functions. In the model archive that is
this package, because Python prefers a package to the `inference.py` beside it.
"""

from inference.handler import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
