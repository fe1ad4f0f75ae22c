"""What DescribeEndpoint says belongs together, whatever changes while it is asked."""

import threading
from collections.abc import Mapping
from typing import Any, cast

from localaws.core import LocalAws
from localaws.hosting.endpoint import Endpoint
from localaws.hosting.fleet import Fleet
from localaws.hosting.records import Record

CONFIG = {
    "EndpointConfigName": "first",
    "ProductionVariants": [
        {"InitialVariantWeight": 1, "ModelName": "dogs", "VariantName": "live"},
    ],
}


class Overtaken(Fleet):
    """Becomes healthy after its instances were counted and before they are told."""

    counted = threading.Event()

    def describe(self) -> list[Record]:
        told = super().describe()
        self.counted.set()
        threading.Event().wait(0.5)
        return told

    def scale(self, desired: Mapping[str, int], weights: Mapping[str, float] | None = None) -> None:
        """It starts nothing; `settle` is all that an endpoint waits for."""

    def settle(self) -> str | None:
        self.counted.wait(30)
        return None


def test_instances_and_status_are_of_one_moment() -> None:
    def fleet(name: str, config: Mapping[str, Any]) -> Fleet:
        model = {"ExecutionRoleArn": "arn:aws:iam::123456789012:role/serve"}
        aws = cast("LocalAws", None)
        return Overtaken(aws, name, config, lambda _: model, lambda *_: None)

    endpoint = Endpoint(cast("LocalAws", None), "dogs", "arn", CONFIG, fleet, None)

    told = endpoint.describe()

    assert told["EndpointStatus"] == "Creating"
    assert told["ProductionVariants"][0]["CurrentInstanceCount"] == 0
