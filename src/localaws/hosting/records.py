"""What SageMaker remembers of models, endpoint configurations and their tags, as it was asked."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply, json_reply

Record = dict[str, Any]
OWN_KINDS = ("model", "endpoint-config", "endpoint")


def invalid(message: str) -> AwsError:
    """The one error that SageMaker has for nearly everything."""
    return AwsError("ValidationException", message)


class HostingRecords:
    """Models, endpoint configurations, and the tags of everything that hosting keeps."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._lock = threading.Lock()
        self.models: dict[str, Record] = {}
        self.configs: dict[str, Record] = {}
        self.tags: dict[str, dict[str, str]] = {}
        """By ARN."""
        self.handlers: Mapping[Operation, Handler] = {
            ("sagemaker", "AddTags"): self._add_tags,
            ("sagemaker", "CreateEndpointConfig"): self._create_config,
            ("sagemaker", "CreateModel"): self._create_model,
            ("sagemaker", "DeleteEndpointConfig"): self._delete_config,
            ("sagemaker", "DeleteModel"): self._delete_model,
            ("sagemaker", "DeleteTags"): self._delete_tags,
            ("sagemaker", "DescribeEndpointConfig"): self._describe_config,
            ("sagemaker", "DescribeModel"): self._describe_model,
            ("sagemaker", "ListEndpointConfigs"): self._list_configs,
            ("sagemaker", "ListModels"): self._list_models,
            ("sagemaker", "ListTags"): self._list_tags,
        }

    def arn(self, kind: str, name: str) -> str:
        """SageMaker's ARNs have the name in lower case."""
        return f"arn:aws:sagemaker:{self._aws.region}:{self._aws.account_id}:{kind}/{name.lower()}"

    def remember_tags(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        """Set tags of a new thing."""
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in tags or []}

    def find_config(self, name: str) -> Record:
        """An endpoint configuration.

        Raises:
            AwsError: there is none.
        """
        if name not in self.configs:
            arn = self.arn("endpoint-config", name)
            raise invalid(f'Could not find endpoint configuration "{arn}".')
        return self.configs[name]

    def find_model(self, name: str) -> Record:
        """A model.

        Raises:
            AwsError: there is none.
        """
        if name not in self.models:
            raise invalid(f'Could not find model "{self.arn("model", name)}".')
        return self.models[name]

    def _create_model(self, call: Call) -> Reply:
        name = call.params["ModelName"]
        if not call.params.get("PrimaryContainer") and not call.params.get("Containers"):
            raise invalid("At least one container must be given, as PrimaryContainer.")
        record = {
            "EnableNetworkIsolation": False,
            **_asked(call.params),
            "ModelArn": self.arn("model", name),
            "CreationTime": time.time(),
        }
        for container in (record.get("PrimaryContainer"), *record.get("Containers", ())):
            if container and container.get("Image"):
                container.setdefault("Mode", "SingleModel")
                container.setdefault("Environment", {})
        return self._create(self.models, name, record, "ModelArn", call.params.get("Tags"))

    def _create_config(self, call: Call) -> Reply:
        name = call.params["EndpointConfigName"]
        for variant in call.params["ProductionVariants"]:
            model = self.find_model(variant.get("ModelName", ""))
            variant.setdefault("InitialVariantWeight", 1.0)
            if variant.get("ServerlessConfig"):
                _check_serverless(variant, model, call.params)
        record = {
            "EnableNetworkIsolation": False,
            **_asked(call.params),
            "EndpointConfigArn": self.arn("endpoint-config", name),
            "CreationTime": time.time(),
        }
        return self._create(
            self.configs, name, record, "EndpointConfigArn", call.params.get("Tags")
        )

    def _create(
        self,
        records: dict[str, Record],
        name: str,
        record: Record,
        arn_key: str,
        tags: list[dict[str, str]] | None,
    ) -> Reply:
        arn = record[arn_key]
        with self._lock:
            if name in records:
                kind = arn_key.removesuffix("Arn")
                words = "model" if kind == "Model" else "endpoint configuration"
                raise invalid(f'Cannot create already existing {words} "{arn}".')
            records[name] = record
            self.remember_tags(arn, tags)
        return json_reply({arn_key: arn})

    def _describe_model(self, call: Call) -> Reply:
        return json_reply(self.find_model(call.params["ModelName"]))

    def _describe_config(self, call: Call) -> Reply:
        return json_reply(self.find_config(call.params["EndpointConfigName"]))

    def _delete_model(self, call: Call) -> Reply:
        record = self.find_model(call.params["ModelName"])
        del self.models[call.params["ModelName"]]
        self.tags.pop(record["ModelArn"], None)
        return json_reply({})

    def _delete_config(self, call: Call) -> Reply:
        record = self.find_config(call.params["EndpointConfigName"])
        del self.configs[call.params["EndpointConfigName"]]
        self.tags.pop(record["EndpointConfigArn"], None)
        return json_reply({})

    def _list_models(self, call: Call) -> Reply:
        keys = ("ModelName", "ModelArn", "CreationTime")
        return json_reply({"Models": listed(call, self.models, "ModelName", keys)})

    def _list_configs(self, call: Call) -> Reply:
        keys = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        found = listed(call, self.configs, "EndpointConfigName", keys)
        return json_reply({"EndpointConfigs": found})

    def _own(self, arn: str) -> bool:
        return arn.rpartition(":")[2].partition("/")[0] in OWN_KINDS

    def _tags_of(self, arn: str) -> dict[str, str]:
        if arn not in self.tags:
            raise invalid(f'Could not find resource "{arn}".')
        return self.tags[arn]

    def _add_tags(self, call: Call) -> Reply:
        arn = call.params["ResourceArn"]
        if not self._own(arn):
            return self._pass_on(lambda client: client.add_tags(**call.params))
        tags = self._tags_of(arn)
        tags.update({tag["Key"]: tag["Value"] for tag in call.params["Tags"]})
        return json_reply({"Tags": _as_list(tags)})

    def _delete_tags(self, call: Call) -> Reply:
        arn = call.params["ResourceArn"]
        if not self._own(arn):
            return self._pass_on(lambda client: client.delete_tags(**call.params))
        for key in call.params["TagKeys"]:
            self._tags_of(arn).pop(key, None)
        return json_reply({})

    def _list_tags(self, call: Call) -> Reply:
        arn = call.params["ResourceArn"]
        if not self._own(arn):
            return self._pass_on(lambda client: client.list_tags(**call.params))
        return json_reply({"Tags": _as_list(self._tags_of(arn))})

    def _pass_on(self, ask: Callable[[Any], Any]) -> Reply:
        """Notebooks, jobs and the rest have their tags in moto."""
        client = self._aws.records_client("sagemaker")
        try:
            answer = ask(client)
        except client.exceptions.ClientError as error:
            problem = error.response["Error"]
            raise AwsError(problem["Code"], problem["Message"]) from None
        answer.pop("ResponseMetadata", None)
        return json_reply(answer)


def _check_serverless(
    variant: Mapping[str, Any], model: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    """What AWS does not do for serverless endpoints."""
    excluded = {
        "several production variants": len(config["ProductionVariants"]) > 1,
        "data capture": (config.get("DataCaptureConfig") or {}).get("EnableCapture"),
        "network isolation": model.get("EnableNetworkIsolation"),
        "a VPC": model.get("VpcConfig"),
        "InstanceType": variant.get("InstanceType"),
        "InitialInstanceCount": variant.get("InitialInstanceCount"),
    }
    for what, found in excluded.items():
        if found:
            raise invalid(f"Serverless endpoints do not support {what}.")
    serverless = variant["ServerlessConfig"]
    if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
        raise invalid("ProvisionedConcurrency must not exceed MaxConcurrency.")


def listed(
    call: Call, records: Mapping[str, Record], name_key: str, keys: tuple[str, ...]
) -> list[Record]:
    """The short form of all records whose name contains what was asked for, newest first."""
    wanted = call.params.get("NameContains", "")
    found = [record for name, record in list(records.items()) if wanted.lower() in name.lower()]
    by_name = call.params.get("SortBy") == "Name"
    found.sort(
        key=lambda record: record[name_key] if by_name else record["CreationTime"],
        reverse=call.params.get("SortOrder", "Descending") == "Descending",
    )
    most = int(call.params.get("MaxResults", 100))
    return [{key: record[key] for key in keys} for record in found[:most]]


def _asked(params: Mapping[str, Any]) -> Record:
    """All members but the tags and the empty ones, which AWS does not echo either."""
    return {k: v for k, v in params.items() if k != "Tags" and v not in (None, {}, [])}


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
