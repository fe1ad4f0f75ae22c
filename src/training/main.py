"""`python -m training.main`: trains one model, on a laptop, an instance or in a SageMaker job.

Settings come from --hyperparameters FILE, then SageMaker's SM_HPS, then the command line
(`--epochs 5`, `--batch-size 32`); folders default to SageMaker's SM_* variables where they are set.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

from contract.hyperparameters import Hyperparameters, from_text, read_hyperparameters
from contract.strict import ContractError, require
from training.processes import first_to_fail, is_lost, joined, number, speaks_for_all
from training.run import Request, train
from training.runlog import Silence
from training.stopping import StopError, Stopping, watch_for_notice
from training.trackers import tracked

FIELDS = [field.name for field in dataclasses.fields(Hyperparameters)]
SAGEMAKER_BASE = "/opt/ml"
OTHER_ENDED = (
    "another process of this run has ended without a word, perhaps for want of memory; the same "
    "command goes on from the last checkpoint."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ContractError(f"{message}. `{self.prog} --help` lists what there is.")


def parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    """Options; SageMaker's environment gives their defaults."""
    options = _Parser(prog="training.main", description=__doc__, allow_abbrev=False)
    data = env.get("SM_CHANNEL_TRAINING")
    options.add_argument("--data", type=Path, default=data, help="folder of labelled pictures")
    model = env.get("SM_MODEL_DIR", "build/model")
    options.add_argument("--model-dir", "--model_dir", type=Path, default=model, help="result")
    output = env.get("SM_OUTPUT_DATA_DIR", "build/training")
    options.add_argument(
        "--output-dir", "--output_dir", type=Path, default=output, help="metrics, data report"
    )
    options.add_argument("--hyperparameters", type=Path, help="JSON file of settings")
    weights = env.get("SM_CHANNEL_WEIGHTS", "auto")
    options.add_argument("--weights", default=weights, help="auto, imagenet, random or a file")
    options.add_argument(
        "--cache-dir", "--cache_dir", type=Path, default="build/cache", help="features, pictures"
    )
    job = env.get("TRAINING_JOB_NAME")
    base = env.get("SAGEMAKER_BASE_DIR", SAGEMAKER_BASE)
    checkpoints = f"{base}/checkpoints/{job}" if job else "build/training/checkpoints"
    options.add_argument(
        "--checkpoint-dir", "--checkpoint_dir", type=Path, default=checkpoints,
        help="where an interrupted run goes on from",
    )  # fmt: skip
    options.add_argument(
        "--checkpoint-seconds", "--checkpoint_seconds", type=float, default=300.0, metavar="X",
        help="longest time between checkpoints",
    )  # fmt: skip
    options.add_argument("--profile", action="store_true", help="find out where time goes")
    for name in FIELDS:
        spellings = dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"])
        options.add_argument(*spellings, dest=name, metavar="X", help=f"setting {name}")
    return options


def read_request(argv: Sequence[str], env: Mapping[str, str]) -> Request:
    """Put the request together.

    Raises:
        ContractError: something is missing, misspelt or out of range.
    """
    options, rest = parser(env).parse_known_args(argv)
    require_known(rest)
    require(options.data is not None, "no pictures: name a folder with --data DIR.")
    require(
        options.checkpoint_seconds >= 0,
        f"--checkpoint-seconds is {options.checkpoint_seconds}; it must be 0 (each step) or more.",
    )
    settings = Hyperparameters()
    if options.hyperparameters is not None:
        settings = read_hyperparameters(options.hyperparameters)
    settings = from_text(sagemaker_settings(env), settings)
    given = {name: getattr(options, name) for name in FIELDS}
    settings = from_text({k: v for k, v in given.items() if v is not None}, settings)
    return Request(
        data=Path(options.data),
        model_dir=Path(options.model_dir),
        output_dir=Path(options.output_dir),
        settings=settings,
        weights=options.weights,
        cache_dir=Path(options.cache_dir),
        checkpoint_dir=Path(options.checkpoint_dir),
        checkpoint_seconds=options.checkpoint_seconds,
        profile=options.profile,
    )


def sagemaker_settings(env: Mapping[str, str]) -> dict[str, str]:
    """SM_HPS as text, without SageMaker's own entries and our options."""
    values: dict[str, Any] = json.loads(env.get("SM_HPS", "{}"))
    ours = {"weights", "data", "model_dir", "output_dir", "hyperparameters", "cache_dir",
            "checkpoint_dir", "checkpoint_seconds", "profile"}  # fmt: skip
    return {
        name.replace("-", "_"): str(value)
        for name, value in values.items()
        if not name.startswith("sagemaker_") and name.replace("-", "_") not in ours
    }


def require_known(rest: Sequence[str]) -> None:
    """Accept SageMaker's own arguments (`--sagemaker_program x`) among those left over."""
    skip = False
    for argument in rest:
        if argument.startswith("--sagemaker"):
            skip = "=" not in argument
        elif skip:
            skip = False
        else:
            raise ContractError(
                f"{argument!r} is not an argument; settings are {', '.join(FIELDS)}."
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Train; a user's mistake is one line and exit code 2, a signal is one line and its code."""
    env = os.environ
    with Stopping().listening() as stopping:
        try:
            with joined(env):
                return run(sys.argv[1:] if argv is None else argv, env, stopping)
        except ContractError as error:  # while joining
            return report_failure(str(error), env)
        except StopError as stop:
            return stop.code if stopping.over else report_stop(stop)


def run(argv: Sequence[str], env: Mapping[str, str], stopping: Stopping) -> int:
    """Train as one of the run's processes; the one that fails first says why."""
    try:
        if env.get("WATCH_SPOT_NOTICES"):
            watch_for_notice(stopping, env)
        request = read_request(argv, env)
        output = request.output_dir
        told = tracked(output, env) if number() == 0 else nullcontext(Silence(output))
        with told as log:
            train(request, log, stopping)
    except ContractError as error:
        return report_failure(str(error), env)
    except OSError as error:
        line = f"{error}; check the path, its rights and the space left."
        return report_failure(line, env)
    except StopError as stop:
        stopping.over = True
        return report_stop(stop)
    except RuntimeError as error:
        if not is_lost(error):
            raise
        stopping.heed()
        return report_failure(OTHER_ENDED, env)
    return 0


def report_stop(stop: StopError) -> int:
    """One line on stderr."""
    if stop.goes_on_from:
        then = f"The same command goes on from {stop.goes_on_from}."
    else:
        then = "The same command begins anew; nothing was learnt yet."
    if speaks_for_all():
        sys.stderr.write(
            f"training: stopped by {stop.reason}; the model folder is as it was. {then}\n"
        )
    return stop.code


def report_failure(message: str, env: Mapping[str, str]) -> int:
    """One line on stderr, and in a training job also where SageMaker reads it."""
    if not first_to_fail():
        return 2
    line = " ".join(message.split())
    sys.stderr.write(f"training: {line}\n")
    if "SM_MODEL_DIR" in env:
        base = Path(env.get("SAGEMAKER_BASE_DIR", SAGEMAKER_BASE))
        (base / "output").mkdir(parents=True, exist_ok=True)
        (base / "output" / "failure").write_text(f"{line}\n", encoding="utf-8")
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
