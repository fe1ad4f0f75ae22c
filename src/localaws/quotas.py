"""What an account may use, and whether this one is new.

LOCALAWS_NEW_ACCOUNT=1 at the start of the local AWS makes it as narrow as an account of today.
"""

import hashlib
import os
from dataclasses import dataclass


def is_new_account() -> bool:
    """Whether the local AWS was asked to be a new account."""
    return os.environ.get("LOCALAWS_NEW_ACCOUNT", "") == "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """One limit."""

    service: str
    code: str
    name: str
    usual: float
    """What most accounts have."""
    new: float
    """What a new account has."""

    @property
    def value(self) -> float:
        """What this account has."""
        return self.new if is_new_account() else self.usual


LAMBDA_CONCURRENCY = Quota(
    service="lambda", code="L-B99A9384", name="Concurrent executions", usual=1000, new=10
)

_EC2 = (
    ("L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5),
    ("L-DB2E81BA", "Running On-Demand G and VT instances", 0),
    ("L-417A185B", "Running On-Demand P instances", 0),
    ("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5),
    ("L-3819A6DF", "All G and VT Spot Instance Requests", 0),
    ("L-7212CCBC", "All P Spot Instance Requests", 0),
)
"""In virtual processors; AWS raises them by itself as an account is used."""

_SAGEMAKER_FAMILIES = ("c5", "c6i", "c7i", "g4dn", "g5", "m5", "m6i", "m7i", "t3")
_SAGEMAKER_SIZES = ("medium", "large", "xlarge", "2xlarge", "4xlarge")
_SAGEMAKER_USES = ("endpoint usage", "notebook instance usage", "training job usage")


def _sagemaker() -> list[Quota]:
    """SageMaker has one for each type and use; these numbers and codes are our own."""
    quotas = []
    for family in _SAGEMAKER_FAMILIES:
        for size in _SAGEMAKER_SIZES:
            for use in _SAGEMAKER_USES:
                name = f"ml.{family}.{size} for {use}"
                code = f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"
                gpu = family.startswith("g")
                quotas.append(
                    Quota(
                        service="sagemaker",
                        code=code,
                        name=name,
                        usual=2 if gpu else 20,
                        new=0 if gpu else 2,
                    )
                )
    return quotas


QUOTAS = (
    LAMBDA_CONCURRENCY,
    *(Quota(service="ec2", code=c, name=n, usual=v, new=v) for c, n, v in _EC2),
    *_sagemaker(),
)
