"""SageMaker hosting: endpoints whose instances are real processes of the model's own archive.

Differences from AWS: an instance is a process on this machine, whatever its type; a container
image is recorded, not run: `python code/serve.py` of the archive is the container; all traffic
switches at once (no canary); inference pipelines, multi-model, asynchronous and serverless
endpoints, inference components, data capture and shadow variants are recorded, not imitated.
"""

import threading
from collections.abc import Mapping
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply, json_reply
from localaws.hosting.endpoint import Endpoint
from localaws.hosting.fleet import Fleet
from localaws.hosting.invoke import invoke
from localaws.hosting.records import HostingRecords, Record, invalid, listed
from localaws.recorder import Recorder


class Hosting:
    """The part for endpoints."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._recorder = Recorder(aws)
        self._records = HostingRecords(aws)
        self._lock = threading.Lock()
        self._endpoints: dict[str, Endpoint] = {}
        self.observers: Mapping[Operation, Observer] = {}
        self.handlers: Mapping[Operation, Handler] = {
            **self._records.handlers,
            ("sagemaker", "CreateEndpoint"): self._create,
            ("sagemaker", "DeleteEndpoint"): self._delete,
            ("sagemaker", "DescribeEndpoint"): self._describe,
            ("sagemaker", "ListEndpoints"): self._list,
            ("sagemaker", "UpdateEndpoint"): self._update,
            ("sagemaker", "UpdateEndpointWeightsAndCapacities"): self._scale,
            ("sagemaker-runtime", "InvokeEndpoint"): self._invoke,
        }

    def close(self) -> None:
        """End every instance."""
        for endpoint in list(self._endpoints.values()):
            endpoint.stop()
        self._recorder.close()

    def _create(self, call: Call) -> Reply:
        name = call.params["EndpointName"]
        config = self._records.find_config(call.params["EndpointConfigName"])
        arn = self._records.arn("endpoint", name)
        with self._lock:
            old = self._endpoints.get(name)
            if old and not old.gone.is_set():
                raise invalid(f'Cannot create already existing endpoint "{arn}".')
            self._records.remember_tags(arn, call.params.get("Tags"))
            deployment = call.params.get("DeploymentConfig")
            self._endpoints[name] = Endpoint(name, arn, config, self._fleet, deployment)
        return json_reply({"EndpointArn": arn})

    def _update(self, call: Call) -> Reply:
        endpoint = self._find(call.params["EndpointName"])
        config = self._records.find_config(call.params["EndpointConfigName"])
        retained: dict[str, int] = {}
        excluded = {
            item["VariantPropertyType"]
            for item in call.params.get("ExcludeRetainedVariantProperties") or []
        }
        if call.params.get("RetainAllVariantProperties") and "DesiredInstanceCount" not in excluded:
            retained = dict(endpoint.fleet.desired)
        endpoint.update(config, retained, call.params.get("DeploymentConfig"))
        return json_reply({"EndpointArn": endpoint.arn})

    def _scale(self, call: Call) -> Reply:
        endpoint = self._find(call.params["EndpointName"])
        desired: dict[str, int] = {}
        weights: dict[str, float] = {}
        for item in call.params["DesiredWeightsAndCapacities"]:
            name = item["VariantName"]
            if name not in endpoint.fleet.desired:
                raise invalid(f"Variant {name} does not exist in endpoint {endpoint.name}.")
            if item.get("DesiredInstanceCount") is not None:
                desired[name] = int(item["DesiredInstanceCount"])
            if item.get("DesiredWeight") is not None:
                weights[name] = float(item["DesiredWeight"])
        endpoint.scale(desired, weights)
        return json_reply({"EndpointArn": endpoint.arn})

    def _delete(self, call: Call) -> Reply:
        endpoint = self._find(call.params["EndpointName"])
        endpoint.delete()
        self._records.tags.pop(endpoint.arn, None)
        return json_reply({})

    def _describe(self, call: Call) -> Reply:
        return json_reply(self._find(call.params["EndpointName"]).describe())

    def _list(self, call: Call) -> Reply:
        wanted = call.params.get("StatusEquals")
        described: dict[str, Record] = {
            name: endpoint.describe()
            for name, endpoint in list(self._endpoints.items())
            if not endpoint.gone.is_set() and wanted in (None, endpoint.status)
        }
        keys = ("EndpointName", "EndpointArn", "EndpointStatus", "CreationTime", "LastModifiedTime")
        return json_reply({"Endpoints": listed(call, described, "EndpointName", keys)})

    def _invoke(self, call: Call) -> Reply:
        name = call.params["EndpointName"]
        endpoint = self._endpoints.get(name)
        if endpoint is None or endpoint.gone.is_set():
            message = f"Endpoint {name} of account {self._aws.account_id} not found."
            raise AwsError("ValidationError", message, 400)
        if endpoint.status not in ("InService", "Updating"):
            message = (
                f"Endpoint {name} of account {self._aws.account_id} is {endpoint.status}; it "
                "answers when it is InService."
            )
            raise AwsError("ValidationError", message, 400)
        return invoke(self._aws, self._recorder, endpoint, call)

    def _find(self, name: str) -> Endpoint:
        endpoint = self._endpoints.get(name)
        if endpoint is None or endpoint.gone.is_set():
            raise invalid(f'Could not find endpoint "{self._records.arn("endpoint", name)}".')
        return endpoint

    def _fleet(self, name: str, config: Mapping[str, Any]) -> Fleet:
        group = f"/aws/sagemaker/Endpoints/{name}"

        def on_line(stream: str, line: str, role_arn: str) -> None:
            self._recorder.line(group, stream, line, role_arn)

        return Fleet(self._aws, name, config, self._records.find_model, on_line)
