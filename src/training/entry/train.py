"""What runs in a training job: `python train.py --epochs 5 ...`.

The code that serves the model goes beside it, so that a job's archive is ready to be deployed.
"""

import os
import shutil
from pathlib import Path

from training.main import main

SERVING = Path(__file__).with_name("serving")


def pack_serving_code(model_dir: Path) -> None:
    """Put the serving code where SageMaker's images look for it."""
    shutil.copytree(SERVING, model_dir, dirs_exist_ok=True)


if __name__ == "__main__":
    code = main()
    # Of several processes, the first one writes the model.
    if code == 0 and "SM_MODEL_DIR" in os.environ and os.environ.get("RANK", "0") == "0":
        pack_serving_code(Path(os.environ["SM_MODEL_DIR"]))
    raise SystemExit(code)
