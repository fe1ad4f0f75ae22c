"""SageMaker hosting: endpoints whose instances are real processes of the model's own archive.

Differences from AWS: an instance is a process on this machine, whatever its type; a container
image is recorded, not run: `python code/serve.py` of the archive is the container. A canary or a
linear step is a share of the requests, whatever the number of instances. A copy of a serverless
endpoint may use more memory than it says; it ends after LOCALAWS_SERVERLESS_IDLE_SECONDS (300)
without a request. Captured data is written within seconds. Inference pipelines, multi-model and
asynchronous endpoints, inference components and shadow variants are recorded, not imitated.
"""

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Observer, Operation, Reply, json_reply
from localaws.hosting.endpoint import Endpoint
from localaws.hosting.fleet import Fleet
from localaws.hosting.invoke import invoke
from localaws.hosting.records import HostingRecords, Record, invalid, listed
from localaws.hosting.serverless import ServerlessFleet
from localaws.recorder import Recorder

log = logging.getLogger(__name__)
TELLING_SECONDS = 60.0
"""How long a variant without requests goes on saying so."""


class Hosting:
    """The part for endpoints."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._recorder = Recorder(aws)
        self._records = HostingRecords(aws)
        self._lock = threading.Lock()
        self._endpoints: dict[str, Endpoint] = {}
        self._interval_seconds = float(os.environ.get("LOCALAWS_SCALING_INTERVAL_SECONDS", "5"))
        self._telling: dict[tuple[str, str], int] = {}
        self._closed = threading.Event()
        self._tending = threading.Thread(target=self._tend, name="hosting", daemon=True)
        self._tending.start()
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
        self._closed.set()
        self._tending.join(10)
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
            self._endpoints[name] = Endpoint(self._aws, name, arn, config, self._fleet, deployment)
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
        deployment = call.params.get("DeploymentConfig")
        if call.params.get("RetainDeploymentConfig"):
            deployment = endpoint.deployment
        self._check_alarms(config, deployment or {})
        endpoint.update(config, retained, deployment)
        return json_reply({"EndpointArn": endpoint.arn})

    def _check_alarms(self, config: Mapping[str, Any], deployment: Mapping[str, Any]) -> None:
        """The alarms that end a deployment are looked at with the new model's role."""
        alarms = (deployment.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
        about = {"AlarmNames": [alarm["AlarmName"] for alarm in alarms]}
        for variant in config["ProductionVariants"] if alarms else []:
            role = self._records.find_model(variant["ModelName"])["ExecutionRoleArn"]
            if not self._aws.may(role, "SageMaker", "cloudwatch", "DescribeAlarms", about):
                raise invalid(f"The role {role} may not look at the alarms of the deployment.")

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

        serverless = any(v.get("ServerlessConfig") for v in config["ProductionVariants"])
        kind = ServerlessFleet if serverless else Fleet
        return kind(self._aws, name, config, self._records.find_model, on_line)

    def _tend(self) -> None:
        while not self._closed.wait(self._interval_seconds):
            for endpoint in list(self._endpoints.values()):
                try:
                    for fleet in endpoint.fleets():
                        fleet.tend()
                    self._tell_requests(endpoint)
                except Exception:
                    log.exception("Endpoint %s could not be looked after", endpoint.name)

    def _tell_requests(self, endpoint: Endpoint) -> None:
        """Publish how many requests every instance answers at once, while there are any."""
        means = [mean for fleet in endpoint.fleets() for mean in fleet.mean_requests()]
        for variant in {name for name, _ in means}:
            key = (endpoint.name, variant)
            if any(mean for name, mean in means if name == variant):
                self._telling[key] = round(TELLING_SECONDS / self._interval_seconds)
            if self._telling.get(key, 0) > 0:
                self._telling[key] -= 1
                for name, mean in means:
                    if name == variant:
                        self._recorder.metric(
                            "AWS/SageMaker",
                            "ConcurrentRequestsPerModel",
                            mean,
                            "None",
                            {"EndpointName": endpoint.name, "VariantName": variant},
                        )
