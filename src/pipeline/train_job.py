"""`make train-sagemaker`: trains as a SageMaker job and brings the model to build/model.

The job runs AWS's PyTorch training image with the code that `make train` runs, on the machines of
`training_job` in the settings. Its log is shown as it grows, and what it costs. Interrupting this
command stops the job. Metrics and reports come to build/training, so `make report` works.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

from pipeline.aws import Account, Client
from pipeline.cli import Failed, find_place, run_verb, say, verb_parser
from pipeline.cost.prices import read_prices
from pipeline.job_log import JobLog
from pipeline.job_request import job_request
from pipeline.meter import Meter, job_seconds
from pipeline.results import bring_job
from pipeline.runs import add_options, describe, prepare, show
from pipeline.stacks import stack_of

PAUSE_SECONDS = 3.0


def follow(sagemaker: Client, job: str, log: JobLog, meter: Meter) -> dict[str, Any]:
    """Show a job's log and cost until it ends.

    Returns:
        Its description.

    Raises:
        Failed: it failed or was stopped.
    """
    phase = ""
    while True:
        found: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=job)
        if found["SecondaryStatus"] != phase:
            phase = found["SecondaryStatus"]
            say(f"Job {job}: {phase}")
        show(log.new_lines())
        if found["TrainingJobStatus"] == "Completed":
            say(f"Job {job} took {spent(found, meter)}.")
            return found
        if found["TrainingJobStatus"] in {"Failed", "Stopped"}:
            reason = found.get("FailureReason") or {
                "MaxRuntimeExceeded": "training_job.max_hours is over.",
                "MaxWaitTimeExceeded": "no spot capacity came in twice training_job.max_hours.",
            }.get(phase, "no reason was given.")
            raise Failed(
                f"Job {job} ended {found['TrainingJobStatus']} after {spent(found, meter)}: "
                f"{reason}"
            )
        if meter.due():
            say(f"  so far {spent(found, meter)}")
        time.sleep(PAUSE_SECONDS)


def spent(job: dict[str, Any], meter: Meter) -> str:
    """`2 machines, 3.1 minutes: $0.02`."""
    seconds, billed = job_seconds(job)
    count = job["ResourceConfig"]["InstanceCount"]
    machines = f"{count} machines, " if count > 1 else ""
    return f"{machines}{seconds / 60:.1f} minutes: {meter.cost(count * seconds, billed=billed)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Train as a SageMaker job."""
    parser = verb_parser(__doc__)
    add_options(parser)
    return run_verb(parser, argv, _train)


def _train(options: argparse.Namespace) -> None:
    place = find_place(options)
    stack, jobs = stack_of(place), place.settings.training_job
    account = Account(stack.region)
    s3, sagemaker = account.client("s3"), account.client("sagemaker")
    inputs = prepare(options, s3, stack.bucket, say)
    request = job_request(inputs, stack, place.settings)
    job = request["TrainingJobName"]
    prices = read_prices(stack.region)
    meter = Meter(prices, f"training {jobs.instance_type}", spot=jobs.spot)
    say(f"Starting job {job} on {jobs.instance_count} {meter.rate()}.")
    sagemaker.create_training_job(**request)
    try:
        found = follow(sagemaker, job, JobLog(account.client("logs"), job), meter)
    except KeyboardInterrupt:
        sagemaker.stop_training_job(TrainingJobName=job)
        say(f"Job {job} is being stopped.")
        raise
    card = bring_job(s3, found, options.build)
    say(f"{options.build / 'model'}: {describe(card)}. `make package apply` deploys it.")


if __name__ == "__main__":
    raise SystemExit(main())
