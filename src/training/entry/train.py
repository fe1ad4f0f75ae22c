"""What runs in a training job: `python train.py --epochs 5 ...`.

The model is exported to the runtimes that serve it fast, and the code that serves it goes beside
it, so that a job's archive is ready to be deployed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from contract.runtimes import has_openvino
from training.main import main, read_request

SERVING = Path(__file__).with_name("serving")
EXPORT_SECONDS = 1800
LOST = "The model is whole; `make package` with its pictures adds the runtimes."


def export_runtimes() -> None:
    """Add faster runtimes to the model, in a process of its own: the model outlives its failure."""
    request = read_request(sys.argv[1:], os.environ)
    command = [sys.executable, "-m", "training.runtimes", "--no-int8"]
    command += [f"--data={request.data}", f"--model-dir={request.model_dir}"]
    command += [f"--cache-dir={request.cache_dir}"]
    paths = [path for path in sys.path if path]
    try:
        subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            timeout=EXPORT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"runtimes: the export failed: {error}. {LOST}\n")


def pack_serving_code(model_dir: Path) -> None:
    """Put the serving code where SageMaker's images look for it."""
    shutil.copytree(SERVING, model_dir, dirs_exist_ok=True)


if __name__ == "__main__":
    code = main()
    # Of several processes, the first one writes the model.
    if code == 0 and "SM_MODEL_DIR" in os.environ and os.environ.get("RANK", "0") == "0":
        if has_openvino():
            export_runtimes()
        pack_serving_code(Path(os.environ["SM_MODEL_DIR"]))
    raise SystemExit(code)
