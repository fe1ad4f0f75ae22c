"""Names the four SageMaker functions for AWS's PyTorch image.

The image looks for this file by SAGEMAKER_PROGRAM. Its import of `inference` then finds the
package of that name beside it, which exports the same four functions.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from inference.handler import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
