"""What plans cost; the whole root module's are in tests/infra/stages."""

import shutil
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from tests.pipeline.conftest import REPOSITORY, Stage
from tests.pipeline.models import write_model

from contract.strict import ContractError
from pipeline import deploy
from pipeline.aws import Account
from pipeline.cli import Place
from pipeline.cost.bill import Assumptions, Estimate
from pipeline.cost.estimate import estimate
from pipeline.cost.limit import hold_limit
from pipeline.cost.prices import read_prices
from pipeline.cost.table import table
from pipeline.leftovers import find_leftovers
from pipeline.package import package_release
from pipeline.setup import find_mirror, write_cli_config

MONTH = 730


def a_plan(*resources: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A plan of one module, as `terraform show -json` prints it."""
    planned = [
        {"address": f"{kind}.this", "mode": "managed", "type": kind, "values": values}
        for kind, values in resources
    ]
    module = {"address": "module.part", "resources": planned}
    return {"planned_values": {"root_module": {"child_modules": [module]}}}


def hosting(**variant: Any) -> tuple[str, Mapping[str, Any]]:
    return ("aws_sagemaker_endpoint_configuration", {"production_variants": [variant]})


def limits(low: int, high: int) -> tuple[str, Mapping[str, Any]]:
    return ("aws_appautoscaling_target", {"min_capacity": low, "max_capacity": high})


def bill_of(*resources: tuple[str, Mapping[str, Any]], **assumed: float) -> Estimate:
    return estimate(a_plan(*resources), read_prices("us-east-1"), Assumptions(**assumed))


def printed(*resources: tuple[str, Mapping[str, Any]], region: str = "us-east-1") -> str:
    prices, assumed = read_prices(region), Assumptions()
    return table(estimate(a_plan(*resources), prices, assumed), prices, assumed)


@pytest.fixture
def place(stage: Stage) -> Place:
    return stage.place


def test_every_price_says_where_and_when_it_was_read() -> None:
    for region in ("us-east-1", "eu-west-1"):
        prices = read_prices(region)
        for name, price in prices.rows.items():
            source = prices.sources[price.source]
            assert price.usd > 0, name
            assert source.url.startswith("https://"), name
            assert date(2026, 1, 1) <= source.read, name


def test_an_endpoint_costs_its_fewest_instances_when_idle_and_its_most_at_most() -> None:
    bill = bill_of(hosting(instance_type="ml.m5.large", initial_instance_count=4), limits(2, 6))

    assert bill.idle == pytest.approx(2 * 0.115 * MONTH)
    assert bill.at_most == pytest.approx(6 * 0.115 * MONTH)


def test_an_endpoint_that_does_not_scale_costs_what_it_starts_with() -> None:
    bill = bill_of(hosting(instance_type="ml.m5.large", initial_instance_count=3))

    assert bill.idle == pytest.approx(3 * 0.115 * MONTH)
    assert bill.at_most == bill.idle


def test_of_several_schedules_the_dearest_counts() -> None:
    night = {"scalable_target_action": [{"min_capacity": "3", "max_capacity": "9"}]}

    bill = bill_of(
        hosting(instance_type="ml.m5.large"),
        limits(1, 5),
        ("aws_appautoscaling_scheduled_action", night),
    )

    assert bill.idle == pytest.approx(3 * 0.115 * MONTH)
    assert bill.at_most == pytest.approx(9 * 0.115 * MONTH)


def test_a_serverless_endpoint_costs_by_request_and_by_what_is_kept_warm() -> None:
    serverless = {"memory_size_in_mb": 2048, "max_concurrency": 5, "provisioned_concurrency": 1}

    bill = bill_of(hosting(serverless_config=[serverless]), model_milliseconds=200, kilobytes=0)

    assert bill.per_thousand == pytest.approx(1000 * 0.2 * 0.00004)
    assert bill.idle == pytest.approx(MONTH * 3600 * 0.00001)


def test_a_captured_share_of_the_pictures_is_stored() -> None:
    with_capture = hosting(instance_type="ml.m5.large")
    with_capture[1]["data_capture_config"] = [{"initial_sampling_percentage": 50}]  # type: ignore[index]  # test data

    without = bill_of(hosting(instance_type="ml.m5.large")).per_thousand
    more = bill_of(with_capture).per_thousand - without

    assert more == pytest.approx(0.1 * 4 / 3 * 0.5 * 0.023)


def test_an_alarm_costs_by_its_metrics_and_their_resolution() -> None:
    metric = {"metric": [{"period": 60}]}
    query = {"metric_query": [metric, metric, {"expression": "m1 + m2"}]}

    bill = bill_of(
        ("aws_cloudwatch_metric_alarm", {"alarm_name": "slow", "period": 60}),
        ("aws_cloudwatch_metric_alarm", {"alarm_name": "fast", "period": 10}),
        ("aws_cloudwatch_metric_alarm", {"alarm_name": "sum", **query}),
    )

    assert [line.idle for line in bill.lines] == pytest.approx([0.1, 0.3, 0.2])


def test_a_month_is_the_idle_bill_and_its_requests() -> None:
    function = ("aws_lambda_function", {"memory_size": 1024, "architectures": ["arm64"]})

    bill = bill_of(function, ("aws_cloudwatch_dashboard", {}), milliseconds=100, log_bytes=0)

    assert bill.per_thousand == pytest.approx(0.0002 + 100 * 0.0000133334)
    assert bill.monthly(2_000_000) == pytest.approx(3 + 2000 * bill.per_thousand)


def test_an_instance_type_without_a_price_is_named_and_not_guessed() -> None:
    said = printed(hosting(instance_type="ml.m7i.large"), ("aws_cloudwatch_dashboard", {}))

    assert "endpoint: 1 ml.m7i.large at no price" in said
    assert (
        "no price known for hosting ml.m7i.large in us-east-1; "
        "add a row to src/pipeline/cost/prices.toml" in said
    )
    assert "Together, without what has no price" in said


def test_prices_of_another_region_are_not_taken() -> None:
    said = printed(("aws_cloudwatch_dashboard", {}), region="ap-south-1")

    assert "no price known for dashboard in ap-south-1" in said


def test_a_kind_that_nobody_has_looked_at_is_named() -> None:
    assert "nobody has said what aws_db_instance costs" in printed(("aws_db_instance", {}))


def test_each_line_points_to_the_source_of_its_price() -> None:
    said = printed(hosting(instance_type="ml.c7i.large"))

    row = next(line for line in said.splitlines() if "ml.c7i.large at" in line)
    mark = row.split()[-1]
    assert f"{mark} AWS's own samples" in said
    assert "hosting ml.c7i.large: half of ml.c7i.xlarge" in said


def test_a_plan_above_the_limit_is_an_error_that_says_where_the_limit_is(
    place: Place,
) -> None:
    told: list[str] = []

    with pytest.raises(ContractError) as refused:
        hold_limit(a_plan(hosting(instance_type="ml.g5.xlarge")), place, told.append)

    message = str(refused.value)
    assert "about $1,028.13 a month" in message
    assert "max_monthly_usd is $150.00" in message
    assert str(place.settings_file) in message
    assert len(told) == 1


def test_a_plan_above_the_limit_is_only_said_when_nothing_is_to_be_applied(
    place: Place,
) -> None:
    told: list[str] = []

    hold_limit(a_plan(hosting(instance_type="ml.g5.xlarge")), place, told.append, refuse=False)

    assert "$1,028.13" in told[-1]


def test_a_bill_with_holes_is_at_least_so_much(place: Place) -> None:
    told: list[str] = []

    hold_limit(a_plan(hosting(instance_type="ml.m7i.large")), place, told.append)

    assert "at least $0.00" in told[0]
    assert told[1].startswith("No price is known for hosting ml.m7i.large in us-east-1")


@pytest.mark.slow
def test_an_apply_above_the_limit_makes_nothing(
    account: Account,
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole bill is looked at, though the half without the release would keep to the limit."""
    write_cli_config(stage.root / "terraform.rc", find_mirror())
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(stage.root / "terraform.rc"))
    (stage.root / "infra" / "main.tf").unlink()
    shutil.copytree(REPOSITORY / "infra", stage.root / "infra", dirs_exist_ok=True)
    write_model(stage.build / "model")
    package_release(REPOSITORY, stage.build)
    stage.change_settings(max_monthly_usd=50)

    code = deploy.main([])

    said = capsys.readouterr()
    assert code == 2
    assert "max_monthly_usd is $50.00" in said.err
    assert len(said.err.splitlines()) == 1
    assert find_leftovers(account, stage.name) == []
