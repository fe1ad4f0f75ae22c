"""`make report`: one page that says how good the model is, why, and how to make it again."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from contract.strict import ContractError
from training.report.gather import gather
from training.report.latency import measure_latency
from training.report.page import render


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="training.report", description=__doc__)
    options.add_argument("--model-dir", type=Path, default=Path("build/model"))
    options.add_argument("--output-dir", type=Path, default=Path("build/training"))
    options.add_argument("--data", type=Path, required=True, help="folder of labelled pictures")
    options.add_argument("--out", type=Path, default=Path("build/training/report.html"))
    options.add_argument(
        "--no-latency", action="store_true", help="do not time the model on this machine"
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; a user's mistake is one line and exit code 2."""
    options = parser().parse_args(argv)
    try:
        record = gather(options.model_dir, options.output_dir, options.data)
        latency = None if options.no_latency else measure_latency(options.model_dir)
        page = render(record, latency)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(page, encoding="utf-8")
    except (ContractError, OSError) as error:
        sys.stderr.write(f"report: {error}\n")
        return 2
    for lack in record.missing:
        sys.stderr.write(f"report: {lack}\n")
    sys.stdout.write(f"{options.out} is the report ({len(page) / 1e6:.1f} MB, one file).\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
