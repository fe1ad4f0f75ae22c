"""Who costs what: one rule for each kind of resource that AWS charges for."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.cost.bill import HOURS, SECONDS, THOUSAND, Assumptions, Line
from pipeline.cost.planned import Planned, Resource, block
from pipeline.cost.prices import Prices

BASE64 = 4 / 3
"""How much larger a picture is in what data capture writes."""


class Ledger:
    """The lines so far, and what rules need to write more."""

    def __init__(self, planned: Planned, prices: Prices, assumptions: Assumptions) -> None:
        self.planned = planned
        self.prices = prices
        self.assume = assumptions
        self.lines: list[Line] = []

    def add(
        self,
        what: str,
        price: str,
        *,
        idle: float = 0.0,
        at_most: float | None = None,
        per_thousand: float = 0.0,
    ) -> None:
        """Write a line.

        Args:
            what: how a person would call it.
            price: name of its row in the table.
            idle: units a month when nobody does anything.
            at_most: units a month when all that may run does; None is the same.
            per_thousand: units for a thousand requests.
        """
        found = self.prices.find(price)
        if found is None:
            self.lines.append(Line(what=what, known=False))
            return
        self.lines.append(
            Line(
                what=what,
                idle=idle * found.usd,
                at_most=None if at_most is None else at_most * found.usd,
                per_thousand=per_thousand * found.usd,
                sources=(found.source,),
            )
        )

    def rate(self, price: str) -> str:
        """A price in words."""
        found = self.prices.find(price)
        return "no price" if found is None else f"${found.usd:g} an {found.unit}"


def _hosting(bill: Ledger, config: Resource) -> None:
    variant = block(config.values, "production_variants")
    serverless = block(variant, "serverless_config")
    if serverless:
        _serverless(bill, serverless)
    else:
        _instances(bill, config, variant)
    gigabytes = bill.assume.gigabytes
    bill.add("endpoint: pictures in", "hosting data", per_thousand=gigabytes)
    capture = block(config.values, "data_capture_config")
    share = (capture.get("initial_sampling_percentage") or 0) / 100
    if share:
        bill.add(
            f"data capture: {share:.0%} of the pictures, kept a month",
            "s3 storage",
            per_thousand=gigabytes * BASE64 * share,
        )


def _instances(bill: Ledger, config: Resource, variant: Any) -> None:
    kind = variant["instance_type"]
    low, high = _limits(bill.planned, config, variant.get("initial_instance_count") or 1)
    count = str(low) if low == high else f"{low} to {high}"
    price = f"hosting {kind}"
    bill.add(
        f"endpoint: {count} {kind} at {bill.rate(price)}",
        price,
        idle=low * HOURS,
        at_most=high * HOURS,
    )


def _limits(planned: Planned, config: Resource, count: int) -> tuple[int, int]:
    """Fewest and most instances; of schedules the ones that cost most."""
    lows, highs = [], []
    for target in planned.of("aws_appautoscaling_target", config.module):
        lows.append(target.values["min_capacity"])
        highs.append(target.values["max_capacity"])
    for action in planned.of("aws_appautoscaling_scheduled_action", config.module):
        limits = block(action.values, "scalable_target_action")
        lows.append(int(limits.get("min_capacity") or 0))
        highs.append(int(limits.get("max_capacity") or 0))
    return (max(lows), max(highs)) if lows else (count, count)


def _serverless(bill: Ledger, serverless: Any) -> None:
    gigabytes = serverless["memory_size_in_mb"] / 1024
    seconds = bill.assume.model_milliseconds / 1000
    bill.add(
        f"endpoint: serverless, {gigabytes:g} GB for {bill.assume.model_milliseconds:g} ms",
        "hosting serverless",
        per_thousand=THOUSAND * seconds * gigabytes,
    )
    warm = serverless.get("provisioned_concurrency") or 0
    if warm:
        bill.add(
            f"endpoint: {warm} serverless copies kept warm",
            "hosting serverless kept warm",
            idle=warm * gigabytes * SECONDS,
        )


def _scaling_policy(bill: Ledger, policy: Resource) -> None:
    """Target tracking makes an alarm for scaling out and one for scaling in."""
    tracking = block(policy.values, "target_tracking_scaling_policy_configuration")
    metric = block(tracking, "predefined_metric_specification").get("predefined_metric_type", "")
    fast = "HighResolution" in metric
    bill.add(
        "the 2 alarms of autoscaling",
        "alarm metric of high resolution" if fast else "alarm metric",
        idle=2,
    )


def _notebook(bill: Ledger, notebook: Resource) -> None:
    kind = notebook.values["instance_type"]
    price = f"notebook {kind}"
    bill.add(f"notebook: {kind} at {bill.rate(price)} while it runs", price, at_most=HOURS)
    size = notebook.values["volume_size"]
    bill.add(f"notebook: its volume of {size} GB", "notebook volume", idle=size)


def _training(bill: Ledger, template: Resource) -> None:
    kind = template.values["instance_type"]
    price = f"ec2 {kind}"
    spot = ", less as spot" if template.values.get("instance_market_options") else ""
    bill.add(f"training: {kind} at {bill.rate(price)}{spot} while it runs", price, at_most=HOURS)
    volume = block(block(template.values, "block_device_mappings"), "ebs")
    size, medium = volume["volume_size"], volume["volume_type"]
    kept = bool(bill.planned.of("aws_instance", template.module))
    bill.add(
        f"training: its volume of {size} GB{'' if kept else ' while it runs'}",
        f"ebs {medium}",
        idle=size if kept else 0,
        at_most=size,
    )


def training_jobs(bill: Ledger, jobs: Mapping[str, Any]) -> None:
    """Terraform makes no job: what one costs is known from the settings alone."""
    count, price = jobs["instance_count"], f"training {jobs['instance_type']}"
    machines = f"{count} {jobs['instance_type']} at {bill.rate(price)}"
    spot = ", less as spot" if jobs["spot"] else ""
    bill.add(f"a job: {machines}{spot} while it runs", price, at_most=count * HOURS)


def _function(bill: Ledger, function: Resource) -> None:
    gigabytes = function.values["memory_size"] / 1024
    processor = (function.values.get("architectures") or ["x86_64"])[0]
    seconds = bill.assume.milliseconds / 1000
    bill.add("function: requests", "lambda requests", per_thousand=THOUSAND / 1e6)
    bill.add(
        f"function: {gigabytes:g} GB for {bill.assume.milliseconds:g} ms",
        f"lambda {processor}",
        per_thousand=THOUSAND * seconds * gigabytes,
    )
    bill.add("function: 5 metrics of its own, while it is asked", "custom metric", at_most=5)
    if block(function.values, "tracing_config").get("mode") == "Active":
        bill.add("function: traces", "x-ray traces", per_thousand=THOUSAND / 1e6)
    for warm in bill.planned.of("aws_lambda_provisioned_concurrency_config", function.module):
        copies = warm.values["provisioned_concurrent_executions"]
        bill.add(
            f"function: {copies} copies kept warm",
            f"lambda {processor} kept warm",
            idle=copies * gigabytes * SECONDS,
        )
    bill.add(
        f"logs: {bill.assume.log_bytes:g} bytes a request",
        "log ingestion",
        per_thousand=bill.assume.log_bytes * THOUSAND / 1e9,
    )


def _vpc_endpoint(bill: Ledger, endpoint: Resource) -> None:
    if endpoint.values.get("vpc_endpoint_type") != "Interface":
        return  # gateways cost nothing
    # Subnets that are still to be made are not in the plan's values: they are its module's.
    subnets = endpoint.values.get("subnet_ids") or bill.planned.of("aws_subnet", endpoint.module)
    service = endpoint.values["service_name"].rpartition(".")[2]
    bill.add(
        f"VPC endpoint of {service} in {len(subnets)} zones",
        "vpc endpoint",
        idle=len(subnets) * HOURS,
    )


def _alarm(bill: Ledger, alarm: Resource) -> None:
    queries = alarm.values.get("metric_query") or ()
    metrics = sum(1 for query in queries if query.get("metric")) or 1
    periods = [alarm.values.get("period") or 60]
    periods += [block(query, "metric").get("period") or 60 for query in queries]
    price = "alarm metric of high resolution" if min(periods) < 60 else "alarm metric"
    bill.add(f"alarm {alarm.values['alarm_name']}", price, idle=metrics)


def _repository(bill: Ledger, _: Resource) -> None:
    gigabytes = bill.assume.image_gb
    bill.add(f"image: {gigabytes:g} GB in its repository", "ecr storage", idle=gigabytes)


def _build(bill: Ledger, project: Resource) -> None:
    size = block(project.values, "environment")["compute_type"]
    price = f"codebuild {size}"
    minutes = bill.assume.build_minutes
    bill.add(
        f"image: a build of {minutes:g} minutes",
        price,
        at_most=minutes,
    )


RULES: dict[str, Callable[[Ledger, Resource], None]] = {
    "aws_sagemaker_endpoint_configuration": _hosting,
    "aws_appautoscaling_policy": _scaling_policy,
    "aws_lambda_function": _function,
    "aws_apigatewayv2_api": lambda bill, _: bill.add(
        "HTTP API: requests", "api requests", per_thousand=THOUSAND / 1e6
    ),
    "aws_sagemaker_notebook_instance": _notebook,
    "aws_launch_template": _training,
    "aws_ecr_repository": _repository,
    "aws_codebuild_project": _build,
    "aws_vpc_endpoint": _vpc_endpoint,
    "aws_nat_gateway": lambda bill, _: bill.add("NAT gateway", "nat gateway", idle=HOURS),
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_cloudwatch_dashboard": lambda bill, _: bill.add("dashboard", "dashboard", idle=1),
    "aws_s3_bucket": lambda bill, _: bill.add(
        f"bucket: {bill.assume.stored_gb:g} GB", "s3 storage", idle=bill.assume.stored_gb
    ),
    "aws_kms_key": lambda bill, _: bill.add("encryption key", "kms key", idle=1),
}
"""What costs, by kind, in the order of the bill."""

FREE = frozenset(
    {
        "aws_apigatewayv2_integration",
        "aws_apigatewayv2_route",
        "aws_apigatewayv2_stage",
        "aws_appautoscaling_scheduled_action",
        "aws_appautoscaling_target",
        "aws_budgets_budget",
        "aws_cloudwatch_log_group",
        "aws_default_security_group",
        "aws_ecr_lifecycle_policy",
        "aws_iam_instance_profile",
        "aws_iam_policy",
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_instance",  # its launch template is counted
        "aws_lambda_alias",
        "aws_lambda_event_source_mapping",  # its polls of an idle queue are within what SQS gives
        "aws_lambda_function_event_invoke_config",
        "aws_lambda_function_url",
        "aws_lambda_permission",
        "aws_lambda_provisioned_concurrency_config",  # its function is counted
        "aws_route_table",
        "aws_route_table_association",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_notification",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_s3_bucket_versioning",
        "aws_s3_object",
        "aws_sagemaker_endpoint",  # its configuration is counted
        "aws_sagemaker_model",
        "aws_sagemaker_notebook_instance_lifecycle_configuration",
        "aws_security_group",
        "aws_sns_topic",  # a thousand e-mails a month are free
        "aws_sns_topic_policy",
        "aws_sns_topic_subscription",
        "aws_sqs_queue",  # paid by what it takes: failed calls only
        "aws_sqs_queue_policy",
        "aws_ssm_parameter",
        "aws_subnet",
        "aws_vpc",
        "aws_vpc_security_group_egress_rule",
        "aws_vpc_security_group_ingress_rule",
        "terraform_data",
    }
)
"""What costs nothing by itself, by kind."""
