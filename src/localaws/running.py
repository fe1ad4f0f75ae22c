"""The running local AWS: its parts, put together."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localaws import embedded, seeds
from localaws.apis.part import HttpApis
from localaws.builds.part import Builds
from localaws.core import Call, Credentials, LocalAws, Part
from localaws.functions.part import Functions
from localaws.gaps.alarms import Alarms
from localaws.gaps.budgets import Budgets
from localaws.gaps.identity import IdentityGap
from localaws.gaps.launch_templates import LaunchTemplates
from localaws.gaps.notebooks import Notebooks
from localaws.gaps.permissions import FunctionPermissions
from localaws.gaps.queues import Queues
from localaws.gaps.quotas import ServiceQuotas
from localaws.gaps.s3 import BucketPolicies
from localaws.gaps.security_groups import SecurityGroupRules
from localaws.gateway import ANONYMOUS, Gateway
from localaws.hosting.part import Hosting
from localaws.iam.authority import Authority
from localaws.iam.decisions import Decisions
from localaws.iam.identity import Identities
from localaws.jobs.part import Jobs
from localaws.machines.part import Machines
from localaws.metadata import Metadata
from localaws.records import ACCOUNT_ID, Records
from localaws.scaling.part import Scaling
from localaws.signature import read_signature
from localaws.web import WebServer

log = logging.getLogger(__name__)
PARTS: tuple[Callable[[LocalAws], Part], ...] = (
    Functions,
    HttpApis,
    Builds,
    Hosting,
    Scaling,
    Jobs,
    Machines,
)


class RunningAws:
    """The LocalAws that the parts see."""

    def __init__(self, folder: Path, region: str) -> None:
        self.folder = folder
        self.region = region
        self.account_id = ACCOUNT_ID
        self._web = WebServer()
        self.url = self._web.url
        self._identities = Identities()
        self.admin = self._identities.add_admin()
        self._direct = self._identities.add_admin(direct=True)
        self.gateway = Gateway(Records(region, seeds.plant), self._identities)
        self._metadata = Metadata(
            self.role_credentials, self._describe_instance, self._status, region
        )
        self.gateway.metadata = self._metadata.answer
        self.authority = Authority(region, Decisions(folder / "decisions.jsonl"))
        self.gateway.authorise = self.authority.check
        self.gateway.review = self.authority.review
        self._clients: dict[tuple[str, str], Any] = {}
        self._client_lock = threading.Lock()
        self._parts: list[Part] = []
        self._web.answer = self.gateway.answer
        self._server = threading.Thread(target=self._web.serve_forever, args=(0.1,), daemon=True)

    def start(self) -> None:
        """Answer requests from now on."""
        self._server.start()
        self._fill_gaps()
        for make in PARTS:
            part = make(self)
            self._parts.append(part)
            self.gateway.add(part.handlers.items(), part.observers.items())
        # The tags of notebooks come before those that the parts keep.
        notebooks = Notebooks(self, self.gateway.handlers)
        self.gateway.add(notebooks.handlers.items(), ())

    def _fill_gaps(self) -> None:
        buckets, permissions, queues = BucketPolicies(self), FunctionPermissions(self), Queues(self)
        self.authority.resource_policies = {
            "lambda": permissions.of_arn,
            "s3": buckets.of_arn,
            "sqs": queues.of_arn,
        }
        self.authority.function_of_mapping = self._function_of_mapping
        self.authority.function_url_auth_type = permissions.function_url_auth_type
        who = IdentityGap(self._identities, self.authority.iam, self.region)
        for gap in (who, buckets, permissions):
            self.gateway.add(gap.handlers.items(), gap.observers.items())
        self.gateway.add(queues.handlers.items(), ())
        self.gateway.add(Budgets().handlers.items(), ())
        self.gateway.add(ServiceQuotas(self).handlers.items(), ())
        self.gateway.add((), Alarms(self).observers.items())
        self.gateway.add((), LaunchTemplates().observers.items())
        self.gateway.add((), SecurityGroupRules().observers.items())

    def stop(self) -> None:
        """End every part, then stop answering."""
        for part in reversed(self._parts):
            try:
                part.close()
            except Exception:
                log.exception("%s did not close", type(part).__name__)
        self._web.shutdown()
        self._web.server_close()

    def client(self, service: str) -> Any:
        """See LocalAws."""
        return self._client(service, self.admin)

    def records_client(self, service: str) -> Any:
        """A boto3 client that speaks with moto's records, past every part."""
        return self._client(service, self._direct)

    def role_credentials(self, role_arn: str, session_name: str) -> Credentials:
        """See LocalAws."""
        return self._identities.add_session(role_arn.rsplit("/", 1)[1], session_name)

    def check(self, call: Call, action: str, resource: str) -> None:
        """See LocalAws."""
        signed = read_signature(call.headers, str(call.params.get("Query") or ""))
        principal = (
            self._identities.find(signed.access_key_id, signed.session_token)
            if signed
            else ANONYMOUS
        )
        self.authority.ask(call, principal, action, resource)

    def service_may(self, service: str, action: str, resource: str, source_arn: str) -> bool:
        """See LocalAws."""
        return self.authority.service_may(service, action, resource, source_arn)

    def serve_credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        """See LocalAws."""
        return self._metadata.serve_credentials(self.url, role_arn, session_name)

    def serve_instance_metadata(self, instance_id: str, role_arn: str | None) -> dict[str, str]:
        """See LocalAws."""
        return self._metadata.serve_instance(self.url, instance_id, role_arn)

    def may(
        self,
        role_arn: str,
        session_name: str,
        service: str,
        operation: str,
        params: Mapping[str, Any],
    ) -> bool:
        """See LocalAws."""
        return self.authority.may(role_arn, session_name, service, operation, params)

    def log(
        self, group: str, stream: str, lines: Sequence[str], role_arn: str | None = None
    ) -> None:
        """See LocalAws."""
        named = {"logGroupName": group, "logStreamName": stream}

        def allowed(operation: str) -> bool:
            return role_arn is None or self.may(role_arn, "logs", "logs", operation, named)

        logs = self.records_client("logs")
        now = round(time.time() * 1000)
        events = [{"timestamp": now, "message": line or " "} for line in lines]
        for first in range(0, len(events), 1000):
            part = events[first : first + 1000]
            if not allowed("PutLogEvents"):
                return
            try:
                logs.put_log_events(**named, logEvents=part)
            except logs.exceptions.ResourceNotFoundException:
                groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
                if group not in {one["logGroupName"] for one in groups}:
                    if not allowed("CreateLogGroup"):
                        return
                    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                        logs.create_log_group(logGroupName=group)
                if not allowed("CreateLogStream"):
                    return
                with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                    logs.create_log_stream(**named)
                logs.put_log_events(**named, logEvents=part)
        for namespace, data in embedded.metric_data(lines).items():
            self.records_client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)

    def metric(
        self,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        dimensions: Mapping[str, str],
        role_arn: str | None = None,
    ) -> None:
        """See LocalAws."""
        call = {"Namespace": namespace}
        if role_arn and not self.may(role_arn, "metrics", "cloudwatch", "PutMetricData", call):
            return
        datum = {
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
            "Timestamp": time.time(),
            "Value": value,
            "Unit": unit,
        }
        self.records_client("cloudwatch").put_metric_data(**call, MetricData=[datum])

    def _client(self, service: str, credentials: Credentials) -> Any:
        import boto3  # costs a quarter of a second, and the gateway can answer before
        from botocore.config import Config

        with self._client_lock:
            client = self._clients.get((service, credentials.access_key_id))
            if client is None:
                session: Any = boto3.session.Session()
                client = session.client(
                    service,
                    aws_access_key_id=credentials.access_key_id,
                    aws_secret_access_key=credentials.secret_access_key,
                    config=Config(
                        max_pool_connections=50,
                        read_timeout=900,
                        retries={"total_max_attempts": 1},
                        s3={"addressing_style": "path"},
                    ),
                    endpoint_url=self.url,
                    region_name=self.region,
                )
                self._clients[service, credentials.access_key_id] = client
        return client

    def _function_of_mapping(self, uuid: str) -> str:
        lambda_ = self.client("lambda")
        try:
            return str(lambda_.get_event_source_mapping(UUID=uuid)["FunctionArn"])
        except lambda_.exceptions.ResourceNotFoundException:
            return ""

    def _describe_instance(self, instance_id: str) -> dict[str, Any]:
        found = self.records_client("ec2").describe_instances(InstanceIds=[instance_id])
        instance: dict[str, Any] = found["Reservations"][0]["Instances"][0]
        return instance

    def _status(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "pid": os.getpid(), "region": self.region}
