"""Starts the server from the model archive's code folder: python code/serve.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from inference.server import main

if __name__ == "__main__":
    sys.exit(main())
