"""Training's numbers as SageMaker reads them: by a pattern, from the epoch line that it prints."""

from contract.strict import require

OBJECTIVE = "best_valid_loss"
"""The lowest validation loss so far, per picture: its last value is the chosen model's."""

EPOCH_METRICS = ("train_loss", "valid_loss", "valid_accuracy", OBJECTIVE)
"""What CloudWatch and a tuning job are given, by their names in the epoch line."""

_NUMBER = r"([-+0-9.eE]+)"
_LONGEST = 500
"""Characters that SageMaker takes for a pattern."""


def metric_pattern(name: str) -> str:
    """The pattern whose one group is a metric's value in an epoch line, and in no other line."""
    pattern = f'"event": "epoch".*"{name}": {_NUMBER}'
    require(len(pattern) <= _LONGEST, f"the pattern of metric {name} is too long for SageMaker.")
    return pattern


def metric_definitions() -> list[dict[str, str]]:
    """MetricDefinitions of a training job and of a tuning job."""
    return [{"Name": name, "Regex": metric_pattern(name)} for name in EPOCH_METRICS]
