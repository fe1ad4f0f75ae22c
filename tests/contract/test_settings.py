"""The settings reader is the strict one: Terraform drops what it does not know."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract.settings import read_settings
from contract.strict import ContractError

CONFIG = Path(__file__).parents[2] / "config"
NIGHT = {"at": "cron(0 20 * * ? *)", "max_instances": 1, "min_instances": 1, "time_zone": "UTC"}


def local() -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((CONFIG / "local.tfvars.json").read_text())
    return settings


def written(settings: Any, folder: Path) -> Path:
    path = folder / "local.tfvars.json"
    path.write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize("stage", ["local", "aws"])
def test_both_stages_are_complete(stage: str) -> None:
    settings = read_settings(CONFIG / f"{stage}.tfvars.json")

    assert settings.stage == stage


@pytest.mark.parametrize("stage", ["local", "aws"])
def test_the_course_numbers_are_the_defaults(stage: str) -> None:
    settings = read_settings(CONFIG / f"{stage}.tfvars.json")

    assert settings.notebook.instance_type == "ml.t3.medium"
    assert settings.ec2_training.instance_type == "t3.large"
    assert (settings.scaling.min_instances, settings.scaling.max_instances) == (1, 5)
    assert settings.scaling.scale_in_cooldown_seconds == 30
    assert settings.scaling.scale_out_cooldown_seconds == 30
    assert settings.function.reserved_concurrency == 5


def test_a_misspelt_key_is_refused_by_name(tmp_path: Path) -> None:
    settings = local()
    settings["scaling"]["max_instnces"] = settings["scaling"].pop("max_instances")

    with pytest.raises(ContractError, match="max_instnces.*did you mean 'max_instances'"):
        read_settings(written(settings, tmp_path))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    settings = local()
    del settings["function"]["memory_mb"]

    with pytest.raises(ContractError, match=r"tfvars\.json\.function lacks the key 'memory_mb'"):
        read_settings(written(settings, tmp_path))


@pytest.mark.parametrize(
    ("group", "key", "value", "message"),
    [
        ("ec2_training", "at_end", "sleep", "must be one of stop, terminate"),
        ("ec2_training", "max_hours", 0, "max_hours must be 1 to 168"),
        ("ec2_training", "spot", "yes", 'spot is "yes"; it must be true or false'),
        ("ec2_training", "spot", True, "at_end must be 'terminate' when spot is true"),
        ("ec2_training", "volume_gb", 8, "volume_gb must be 30 to 16384"),
        ("endpoint", "capture_percent", 101, "capture_percent must be 0 to 100"),
        ("endpoint", "image", "latest", "image must be 'own', repository:tag of one of AWS's, or"),
        ("endpoint", "instance_type", "c7i.large", "instance_type must start with 'ml.'"),
        ("endpoint", "max_points_lost", -0.1, "max_points_lost must be 0 to 100"),
        ("endpoint", "max_points_lost", True, "must be a number"),
        ("endpoint", "precision", "fp16", "must be one of auto, fp32, bf16, int8"),
        ("endpoint", "mode", "batch", "must be one of real-time, serverless, off"),
        ("endpoint", "pictures_prefix", "/pictures", "pictures_prefix must be null or end"),
        ("function", "api", {"burst": 0, "requests_per_second": 1}, "burst must be at least 1"),
        ("function", "api", {"burst": 1, "requests_per_second": 0}, "must be above 0"),
        ("function", "batch", {"prefix": "a", "results_prefix": "b/"}, "prefix must end with a"),
        ("function", "batch", {"prefix": "a/", "results_prefix": "/b/"}, "results_prefix must end"),
        ("function", "batch", {"prefix": "a/", "results_prefix": "a/b/"}, "must not lie below"),
        ("function", "batch", {"prefix": "a/", "results_prefix": "b/"}, "must lie below endpoint"),
        ("function", "canary", {"percent": 51, "seconds": 60}, "percent must be 1 to 50"),
        ("function", "canary", {"percent": 5, "seconds": 1}, "seconds must be 10 to 3600"),
        ("function", "memory_mb", 64, "memory_mb must be 128 to 10240"),
        ("function", "memory_mb", True, "memory_mb is true; it must be a whole number"),
        ("function", "provisioned_concurrency", 6, "must be 0 to half of reserved_concurrency"),
        ("function", "reserved_concurrency", 0, "reserved_concurrency must be at least 1"),
        ("function", "shrink_px", 100, "shrink_px must be null or 256 to 4096"),
        ("function", "timeout_seconds", 1.5, "timeout_seconds is 1.5; it must be a whole"),
        ("monitoring", "latency_seconds", 0, "latency_seconds must be above 0"),
        ("monitoring", "log_retention_days", 13, "must be one of 1, 3, 5"),
        ("network", "mode", "existing", "vpc_id and subnet_ids must be given"),
        ("notebook", "idle_minutes", 5, "idle_minutes must be 10 to 1440"),
        ("scaling", "concurrent_requests_per_instance", 4, "give either"),
        ("scaling", "invocations_per_instance_per_minute", 0, "must be above 0"),
        ("scaling", "max_instances", 0, "min_instances must not exceed max_instances"),
        ("scaling", "scale_in_cooldown_seconds", -1, "cooldowns must not be negative"),
        ("scaling", "schedules", {"Night": NIGHT}, "lowercase letters, digits and hyphens"),
        ("scaling", "schedules", {"night": NIGHT | {"at": "8 pm"}}, "at is '8 pm'; it must be"),
        ("scaling", "schedules", {"night": NIGHT | {"max_instances": 0}}, "must not exceed"),
        ("storage", "expire_old_versions_days", 0, "must be null or at least 1"),
        ("storage", "expire_runs_days", 0, "must be null or at least 1"),
        ("storage", "kms_key_arn", "alias/kennel", "must be null or the ARN of a key"),
    ],
)
def test_a_bad_value_is_refused_with_its_remedy(
    group: str, key: str, value: object, message: str, tmp_path: Path
) -> None:
    settings = local()
    settings[group][key] = value

    with pytest.raises(ContractError, match=message):
        read_settings(written(settings, tmp_path))


BATCH = {"prefix": "pictures/incoming/", "results_prefix": "results/"}


def test_a_batch_leaves_a_slot_to_callers(tmp_path: Path) -> None:
    settings = local()
    settings["function"] |= {"batch": BATCH, "reserved_concurrency": 2}

    with pytest.raises(ContractError, match="reserved_concurrency must be at least 3 with a batch"):
        read_settings(written(settings, tmp_path))


def test_a_batch_needs_an_endpoint_that_may_read_pictures(tmp_path: Path) -> None:
    settings = local()
    settings["function"]["batch"] = BATCH
    settings["endpoint"]["pictures_prefix"] = None

    with pytest.raises(ContractError, match="must lie below endpoint.pictures_prefix"):
        read_settings(written(settings, tmp_path))


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("rollout", "kind", "sudden", "must be one of all-at-once, canary, linear, rolling"),
        ("rollout", "step_percent", 60, "step_percent must be 5 to 50"),
        ("rollout", "wait_seconds", 4000, "wait_seconds must be 0 to 3600"),
        ("serverless", "max_concurrency", 0, "max_concurrency must be 1 to 200"),
        ("serverless", "memory_mb", 1000, "memory_mb must be 1024, 2048"),
        ("serverless", "provisioned_concurrency", 6, "must be 0 to max_concurrency"),
    ],
)
def test_a_bad_value_of_a_part_of_the_endpoint_is_refused(
    part: str, key: str, value: object, message: str, tmp_path: Path
) -> None:
    settings = local()
    settings["endpoint"][part][key] = value

    with pytest.raises(ContractError, match=message):
        read_settings(written(settings, tmp_path))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_monthly_usd", 0, "max_monthly_usd must be null or above 0"),
        ("permissions_boundary_arn", "boundary", "must be null or a policy's ARN"),
    ],
)
def test_a_bad_value_at_the_top_is_refused(
    key: str, value: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match=message):
        read_settings(written(local() | {key: value}, tmp_path))


@pytest.mark.parametrize("name", ["K", "a", "Kennel", "-kennel", "kennel-", "k" * 25, "ken_nel"])
def test_a_name_that_aws_would_refuse_is_refused_here(name: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="name is"):
        read_settings(written(local() | {"name": name}, tmp_path))


def test_a_missing_file_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="does not exist; `git restore config` makes it"):
        read_settings(tmp_path / "nothing.tfvars.json")


def test_a_file_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "local.tfvars.json").write_text("{name: kennel}")

    with pytest.raises(ContractError, match="is not JSON"):
        read_settings(tmp_path / "local.tfvars.json")


@pytest.mark.parametrize(
    ("image", "refused"),
    [("own", True), ("ray:serve-ml-sagemaker-cpu-v1.4", True), ("mine/serve:arm", False)],
)
def test_an_image_for_x86_is_refused_on_arm(tmp_path: Path, image: str, refused: bool) -> None:
    settings = local()
    settings["endpoint"] |= {"image": image, "instance_type": "ml.c7g.large"}
    file = written(settings, tmp_path)

    if not refused:
        assert read_settings(file).endpoint.image == image
        return
    with pytest.raises(ContractError, match=r"'ml\.c7g\.large', whose processor is ARM"):
        read_settings(file)
