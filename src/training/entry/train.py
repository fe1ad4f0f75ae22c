"""What runs in a training job and on a training instance: `python train.py --epochs 5 ...`."""

from training.main import main

if __name__ == "__main__":
    raise SystemExit(main())
