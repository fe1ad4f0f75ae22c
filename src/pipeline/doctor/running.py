"""What runs now, and costs."""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from contract.settings import Settings
from pipeline.aws import Account, error_code, pages
from pipeline.cost.prices import Prices, read_prices
from pipeline.doctor.findings import Finding, fail, ok, warn
from pipeline.doctor.images import patched


def check_running(account: Account, settings: Settings) -> Iterator[Finding]:
    """Endpoint, notebook, instances and jobs."""
    prices = read_prices(settings.region)
    yield from _endpoint(account, settings.name, prices)
    yield from _trial_endpoint(account, f"{settings.name}-notebook")
    yield from _notebook(account, settings.name, prices)
    yield from _instances(account, settings.name, prices)
    yield from _jobs(account, settings.name)


def _endpoint(account: Account, name: str, prices: Prices) -> Iterator[Finding]:
    client = account.client("sagemaker")
    try:
        found = client.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error_code(error) not in {"ValidationException", "ResourceNotFound"}:
            raise
        yield ok("endpoint: there is none")
        return
    status = found["EndpointStatus"]
    if status == "Failed":
        reason = " ".join(str(found.get("FailureReason", "no reason given")).split())
        yield fail(f"endpoint {name} is Failed: {reason}", "make apply, or make rollback")
        return
    config = client.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    kinds = {v["VariantName"]: v.get("InstanceType") for v in config["ProductionVariants"]}
    for variant in found.get("ProductionVariants", ()):
        kind = kinds.get(variant["VariantName"])
        count = variant.get("CurrentInstanceCount")
        if kind is None or count is None:
            yield ok(f"endpoint {name} is {status}, serverless")
        else:
            rate = _rate(prices, f"hosting {kind}", count)
            yield ok(f"endpoint {name} is {status} with {count} {kind}{rate}")


def _trial_endpoint(account: Account, name: str) -> Iterator[Finding]:
    """The notebook's endpoint, which its last cell removes."""
    client = account.client("sagemaker")
    for found in pages(client, "list_endpoints", "Endpoints", NameContains=name):
        if found["EndpointName"] == name:
            yield warn(
                f"endpoint {name}, the notebook's, is {found['EndpointStatus']}, by the hour",
                f"aws sagemaker delete-endpoint --endpoint-name {name}",
            )


def _notebook(account: Account, name: str, prices: Prices) -> Iterator[Finding]:
    client = account.client("sagemaker")
    for listed in pages(client, "list_notebook_instances", "NotebookInstances", NameContains=name):
        notebook = listed["NotebookInstanceName"]
        if notebook != name:
            continue
        found = client.describe_notebook_instance(NotebookInstanceName=notebook)
        platform = found.get("PlatformIdentifier", "")
        yield patched(f"notebook {notebook} on {platform}", platform)
        status, kind = found["NotebookInstanceStatus"], found["InstanceType"]
        if status in {"InService", "Pending", "Updating"}:
            yield warn(
                f"notebook {notebook} is {status}{_rate(prices, f'notebook {kind}')}",
                f"aws sagemaker stop-notebook-instance --notebook-instance-name {notebook}",
            )
        else:
            yield ok(f"notebook {notebook} is {status}")


def _instances(account: Account, name: str, prices: Prices) -> Iterator[Finding]:
    reservations = pages(
        account.client("ec2"), "describe_instances", "Reservations",
        Filters=[
            {"Name": "tag:Name", "Values": [name, f"{name}-*"]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ],
    )  # fmt: skip
    found = [instance for r in reservations for instance in r["Instances"]]
    for instance in found:
        kind, number = instance["InstanceType"], instance["InstanceId"]
        since = f"{instance['LaunchTime']:%Y-%m-%d %H:%M} UTC"
        spot = instance.get("InstanceLifecycle") == "spot"
        end = "terminate-instances" if spot else "stop-instances"
        yield warn(
            f"instance {number} runs since {since}{_rate(prices, f'ec2 {kind}')}",
            f"if no run is under way: aws ec2 {end} --instance-ids {number}",
        )
    if not found:
        yield ok("instances: none runs")


def _jobs(account: Account, name: str) -> Iterator[Finding]:
    client = account.client("sagemaker")
    jobs = [
        job["TrainingJobName"]
        for job in pages(client, "list_training_jobs", "TrainingJobSummaries",
                         StatusEquals="InProgress", NameContains=name)
        if job["TrainingJobName"].startswith(f"{name}-")
    ]  # fmt: skip
    for job in jobs:
        yield warn(
            f"training job {job} runs",
            f"if nobody waits for it: aws sagemaker stop-training-job --training-job-name {job}",
        )
    if not jobs:
        yield ok("training jobs: none runs")
    searches = pages(client, "list_hyper_parameter_tuning_jobs", "HyperParameterTuningJobSummaries",
                     StatusEquals="InProgress", NameContains=name)  # fmt: skip
    for search in searches:
        if search["HyperParameterTuningJobName"].startswith(f"{name}-"):
            yield warn(
                f"search {search['HyperParameterTuningJobName']} runs",
                "if nobody waits for it: aws sagemaker stop-hyper-parameter-tuning-job "
                f"--hyper-parameter-tuning-job-name {search['HyperParameterTuningJobName']}",
            )


def _rate(prices: Prices, what: str, count: int = 1) -> str:
    price = prices.find(what)
    return "" if price is None else f", ${price.usd * count:g} an {price.unit}"
