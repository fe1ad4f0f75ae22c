"""The container's environment, read strictly."""

import pytest

from contract.strict import ContractError
from inference.options import cores, read_options


def test_an_empty_environment_gives_the_defaults() -> None:
    options = read_options({})

    assert (options.port, options.workers, options.deadline_ms) == (8080, cores(), 10_000)
    assert str(options.model_folder) == "/opt/ml/model"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "65536"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0"),
        ("QUEUE_PER_WORKER", "-1"),
        ("DEADLINE_MS", "60001"),
        ("JOB_MS", "1e3"),
        ("WORKER_MEMORY_MB", "much"),
    ],
)
def test_a_wrong_number_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ContractError, match=f"^{name} is '{text}'; it must be"):
        read_options({name: text})
