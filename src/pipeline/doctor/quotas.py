"""Whether the account may have what the settings ask for."""

import re
from collections.abc import Iterator

from botocore.exceptions import ClientError

from contract.settings import Settings
from pipeline.aws import Account, Client, error_code, pages
from pipeline.doctor.findings import Finding, fail, ok, warn

UNRESERVED = 100
"""What AWS wants to stay unreserved of an account's concurrent executions."""
ON_DEMAND = {"G and VT": "L-DB2E81BA", "P": "L-417A185B", "Standard": "L-1216C47A"}
SPOT = {"G and VT": "L-3819A6DF", "P": "L-7212CCBC", "Standard": "L-34B43A08"}
"""EC2's quotas by group of families, in virtual processors."""


def check_concurrency(account: Account, settings: Settings) -> Iterator[Finding]:
    """Whether the function's slots can be reserved."""
    client = account.client("lambda")
    limits = client.get_account_settings()["AccountLimit"]
    wanted = settings.function.reserved_concurrency
    left = limits["UnreservedConcurrentExecutions"] + _reserved(client, settings.name) - wanted
    total = limits["ConcurrentExecutions"]
    if left >= UNRESERVED:
        yield ok(f"Lambda: {wanted} of {total:,} concurrent executions can be reserved")
        return
    yield fail(
        f"Lambda: all functions of this account together may run {total:,} at once; reserving "
        f"{wanted} leaves {left:,} and AWS wants {UNRESERVED} to stay",
        _request("lambda", "L-B99A9384", 1000),
    )


def _reserved(client: Client, name: str) -> int:
    """What the deployed function has reserved already."""
    try:
        found = client.get_function(FunctionName=name)
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return 0
        raise
    return int(found.get("Concurrency", {}).get("ReservedConcurrentExecutions", 0))


def check_sagemaker(account: Account, settings: Settings) -> Iterator[Finding]:
    """Endpoint, notebook and training instances."""
    client = account.client("service-quotas")
    quotas = {
        quota["QuotaName"]: quota
        for quota in pages(client, "list_service_quotas", "Quotas", ServiceCode="sagemaker")
    }
    jobs = settings.training_job
    use = "spot training job usage" if jobs.spot else "training job usage"
    count = jobs.instance_count
    wanted: list[tuple[str, int, int]] = [(f"{jobs.instance_type} for {use}", count, count)]
    if settings.endpoint.mode == "real-time":
        low, high = settings.scaling.min_instances, settings.scaling.max_instances
        # A blue/green update holds the old fleet and the new one at once.
        twice = 1 if settings.endpoint.rollout.kind == "rolling" else 2
        name = f"{settings.endpoint.instance_type} for endpoint usage"
        wanted.insert(0, (name, low, high * twice))
    if settings.notebook.enabled:
        wanted.append((f"{settings.notebook.instance_type} for notebook instance usage", 1, 1))
    for name, least, most in wanted:
        quota = quotas.get(name)
        if quota is None:
            yield warn(
                f"SageMaker: no quota is called '{name}'",
                "look whether the type exists in this region: aws service-quotas "
                "list-service-quotas --service-code sagemaker",
            )
        elif quota["Value"] < least:
            yield fail(
                f"SageMaker: {quota['Value']:g} {name} are allowed, {least} are wanted",
                _request("sagemaker", quota["QuotaCode"], most),
            )
        elif quota["Value"] < most:
            yield warn(
                f"SageMaker: {quota['Value']:g} {name} are allowed; the largest fleet and its "
                f"update need {most}",
                _request("sagemaker", quota["QuotaCode"], most),
            )
        else:
            yield ok(f"SageMaker: {quota['Value']:g} {name} are allowed")


def check_ec2(account: Account, settings: Settings) -> Iterator[Finding]:
    """Virtual processors of the training instance."""
    kind = settings.ec2_training.instance_type
    group = _group(kind)
    if group is None:
        yield warn(f"EC2: no quota is known for {kind}", "look into the Service Quotas console")
        return
    code = (SPOT if settings.ec2_training.spot else ON_DEMAND)[group]
    types = account.client("ec2").describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    wanted = int(types[0]["VCpuInfo"]["DefaultVCpus"])
    found = account.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=code)
    quota = found["Quota"]
    what = f"EC2: {quota['Value']:g} virtual processors of '{quota['QuotaName']}' are allowed"
    if quota["Value"] < wanted:
        yield fail(f"{what}, {kind} has {wanted}", _request("ec2", code, wanted))
    else:
        yield ok(f"{what}; {kind} has {wanted}")


def _group(kind: str) -> str | None:
    letters = re.match(r"[a-z]+", kind)
    if letters is None:
        return None
    if letters[0] in {"g", "gr", "vt"}:
        return "G and VT"
    return {"p": "P"}.get(letters[0]) or ("Standard" if letters[0][0] in "acdhimrtz" else None)


def _request(service: str, code: str, value: int) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --service-code {service} "
        f"--quota-code {code} --desired-value {value}"
    )
