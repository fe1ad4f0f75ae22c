"""`make tune-sagemaker`: searches hyperparameters with SageMaker's tuner, many jobs at a time.

Reads config/search_space.json, as `make tune` does. Each trial is a training job; it is shown
when it ends, and so is what the search costs. The best values are written to
config/hyperparameters.json, the best model comes to build/model, its metrics to build/training.
Interrupting this command stops the search. PARENT=<an earlier search> begins from its trials.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contract.hyperparameters import Hyperparameters, from_text
from contract.metrics import OBJECTIVE
from contract.search_space import read_search_space
from pipeline.aws import Account, Client, pages
from pipeline.cli import Failed, find_place, run_verb, say, verb_parser
from pipeline.cost.prices import read_prices
from pipeline.job_request import tuning_request
from pipeline.meter import Meter, job_seconds
from pipeline.results import bring_job
from pipeline.runs import add_options, as_json, describe, prepare
from pipeline.stacks import stack_of

PAUSE_SECONDS = 5.0
ENDED = frozenset({"Completed", "Failed", "Stopped"})


class Trials:
    """The training jobs of a search: each is shown once, when it has ended."""

    def __init__(self, sagemaker: Client, search: str, wanted: int, meter: Meter) -> None:
        self._sagemaker = sagemaker
        self._search = search
        self._wanted = wanted
        self._meter = meter
        self._described: dict[str, Mapping[str, Any]] = {}
        self._machine_seconds: dict[str, float] = {}

    def show_new(self) -> None:
        """Say how those went that have ended since the last time."""
        for number, summary in enumerate(self._summaries(), start=1):
            name = summary["TrainingJobName"]
            if name in self._described:
                continue
            job = self._sagemaker.describe_training_job(TrainingJobName=name)
            seconds, _ = job_seconds(job)
            count = job["ResourceConfig"]["InstanceCount"]
            self._machine_seconds[name] = count * seconds
            if summary["TrainingJobStatus"] in ENDED:
                self._described[name] = job
                say(f"  trial {number} of {self._wanted}: {outcome(summary, job)}")

    def spent(self) -> str:
        """What they cost together, so far."""
        seconds = sum(self._machine_seconds.values())
        ended = self._described.values()
        billed = len(self._described) == len(self._machine_seconds) and all(
            "BillableTimeInSeconds" in job for job in ended
        )
        return f"{seconds / 60:.1f} machine minutes, {self._meter.cost(seconds, billed=billed)}"

    def _summaries(self) -> list[dict[str, Any]]:
        return list(
            pages(
                self._sagemaker,
                "list_training_jobs_for_hyper_parameter_tuning_job",
                "TrainingJobSummaries",
                HyperParameterTuningJobName=self._search,
                SortBy="CreationTime",
                SortOrder="Ascending",
            )
        )


def outcome(summary: Mapping[str, Any], job: Mapping[str, Any]) -> str:
    """One line on a trial that has ended: its result, its values, its time."""
    metric = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
    values = ", ".join(f"{k} {v}" for k, v in sorted(summary["TunedHyperParameters"].items()))
    result = "no result" if metric is None else f"{OBJECTIVE} {metric['Value']:.4f}"
    status = summary["TrainingJobStatus"]
    if status != "Completed":
        reason = job.get("FailureReason", "").partition("\n")[0][:200]
        result = f"{status.lower()}, {result}" + (f": {reason}" if reason else "")
    return f"{result} with {values} ({job_seconds(job)[0] / 60:.1f} minutes)"


def follow(sagemaker: Client, search: str, trials: Trials, meter: Meter) -> dict[str, Any]:
    """Show a search's trials and cost until it ends.

    Returns:
        Its description.

    Raises:
        Failed: it failed or was stopped, or no trial came to a result.
    """
    while True:
        found: dict[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=search
        )
        status = found["HyperParameterTuningJobStatus"]
        trials.show_new()
        if status in ENDED:
            say(f"Search {search} is {status}: {trials.spent()}.")
            if status != "Completed" or "BestTrainingJob" not in found:
                reason = found.get("FailureReason", "no trial came to a result.")
                raise Failed(f"Search {search} ended {status}: {reason}")
            return found
        if meter.due():
            say(f"  so far {trials.spent()}")
        time.sleep(PAUSE_SECONDS)


def best_settings(job: Mapping[str, Any], base: Hyperparameters) -> Hyperparameters:
    """Hyperparameters that a trial trained with.

    Args:
        job: as DescribeTrainingJob has it.
        base: names the hyperparameters; what else a job is told is not among them.
    """
    known = set(base.__dataclass_fields__)
    plain = {name: unquoted(text) for name, text in job["HyperParameters"].items()}
    return from_text({name: text for name, text in plain.items() if name in known}, base)


def unquoted(text: str) -> str:
    """A value as text, which SageMaker may have written as JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def main(argv: Sequence[str] | None = None) -> int:
    """Search on SageMaker."""
    parser = verb_parser(__doc__)
    add_options(parser)
    parser.add_argument(
        "--search-space", type=Path, default=Path("config/search_space.json"), metavar="FILE"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="another number of trials")
    parser.add_argument("--parent", metavar="SEARCH", help="an earlier search to begin from")
    return run_verb(parser, argv, _tune)


def _tune(options: argparse.Namespace) -> None:
    place = find_place(options)
    stack, jobs = stack_of(place), place.settings.training_job
    account = Account(stack.region)
    s3, sagemaker = account.client("s3"), account.client("sagemaker")
    inputs = prepare(options, s3, stack.bucket, say)
    space = read_search_space(options.search_space, inputs.hyperparameters)
    if options.trials is not None:
        at_once = min(space.parallel_trials, options.trials)
        space = replace(space, trials=options.trials, parallel_trials=at_once)
    parent = options.parent and sagemaker.describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=options.parent
    )
    request = tuning_request(inputs, stack, place.settings, space, parent or None)
    search = request["HyperParameterTuningJobName"]
    prices = read_prices(stack.region)
    meter = Meter(prices, f"training {jobs.instance_type}", spot=jobs.spot)
    say(
        f"Starting search {search}: {space.trials} trials, {space.parallel_trials} at a time, "
        f"each on {jobs.instance_count} {meter.rate()}."
    )
    sagemaker.create_hyper_parameter_tuning_job(**request)
    try:
        trials = Trials(sagemaker, search, space.trials, meter)
        found = follow(sagemaker, search, trials, meter)
    except KeyboardInterrupt:
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=search)
        say(f"Search {search} and its trials are being stopped.")
        raise
    best = found["BestTrainingJob"]["TrainingJobName"]
    job = sagemaker.describe_training_job(TrainingJobName=best)
    card = bring_job(s3, job, options.build)
    options.hyperparameters.write_bytes(as_json(best_settings(job, inputs.hyperparameters)) + b"\n")
    say(f"{options.hyperparameters} has the values of {best}.")
    say(f"{options.build / 'model'}: {describe(card)}. `make package apply` deploys it.")


if __name__ == "__main__":
    raise SystemExit(main())
