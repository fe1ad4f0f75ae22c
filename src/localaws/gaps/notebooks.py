"""SageMaker notebook instances and their lifecycle configurations: records only, nothing runs."""

import time
from collections.abc import Mapping
from typing import Any

from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply, json_reply

Record = dict[str, Any]
_CONFIG = "NotebookInstanceLifecycleConfig"
_LOG_GROUP = "/aws/sagemaker/NotebookInstances"


class Notebooks:
    """Keeps notebook instances, their lifecycle configurations and the tags of both."""

    def __init__(self, aws: LocalAws, others: Mapping[Operation, Handler]) -> None:
        self._aws = aws
        self._others = dict(others)
        self._instances: dict[str, Record] = {}
        self._configs: dict[str, Record] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("sagemaker", operation): handler
            for operation, handler in (
                ("AddTags", self._change_tags),
                ("CreateNotebookInstance", self._create),
                ("CreateNotebookInstanceLifecycleConfig", self._create_config),
                ("DeleteNotebookInstance", self._delete),
                ("DeleteNotebookInstanceLifecycleConfig", self._delete_config),
                ("DeleteTags", self._change_tags),
                ("DescribeNotebookInstance", self._describe),
                ("DescribeNotebookInstanceLifecycleConfig", self._describe_config),
                ("ListNotebookInstanceLifecycleConfigs", self._list_configs),
                ("ListNotebookInstances", self._list),
                ("ListTags", self._list_tags),
                ("StartNotebookInstance", self._start),
                ("StopNotebookInstance", self._stop),
                ("UpdateNotebookInstance", self._update),
                ("UpdateNotebookInstanceLifecycleConfig", self._update_config),
            )
        }

    def _create(self, call: Call) -> Reply:
        params = dict(call.params)
        name = params["NotebookInstanceName"]
        arn = self._arn("notebook-instance", name)
        if name in self._instances:
            raise _invalid(f"Cannot create a duplicate notebook instance ({arn})")
        self._tags[arn] = _by_key(params.pop("Tags", None))
        groups = params.pop("SecurityGroupIds", None)
        now = time.time()
        record = {
            "DirectInternetAccess": "Enabled",
            "PlatformIdentifier": "notebook-al2-v3",
            "RootAccess": "Enabled",
            "VolumeSizeInGB": 5,
            "NotebookInstanceArn": arn,
            "NotebookInstanceStatus": "InService",
            "Url": f"{name}.notebook.{self._aws.region}.sagemaker.aws",
            "CreationTime": now,
            "LastModifiedTime": now,
            **_renamed(params),
        }
        record.setdefault(
            "InstanceMetadataServiceConfiguration", {"MinimumInstanceMetadataServiceVersion": "1"}
        )
        if groups:
            record["SecurityGroups"] = groups
        self._instances[name] = record
        self._write_log(record)
        return json_reply({"NotebookInstanceArn": arn})

    def _describe(self, call: Call) -> Reply:
        return json_reply(self._instance(call))

    def _list(self, _: Call) -> Reply:
        keys = (
            "NotebookInstanceName",
            "NotebookInstanceArn",
            "NotebookInstanceStatus",
            "InstanceType",
            "CreationTime",
            "LastModifiedTime",
        )
        listed = [{key: one[key] for key in keys} for one in self._instances.values()]
        return json_reply({"NotebookInstances": listed})

    def _start(self, call: Call) -> Reply:
        record = self._instance(call)
        record["NotebookInstanceStatus"] = "InService"
        self._write_log(record)
        return json_reply({})

    def _write_log(self, record: Record) -> None:
        """A notebook instance that starts writes its log with its role."""
        name = record["NotebookInstanceName"]
        line = "localaws keeps notebook instances as records; no Jupyter runs."
        self._aws.log(_LOG_GROUP, f"{name}/jupyter.log", [line], record["RoleArn"])

    def _stop(self, call: Call) -> Reply:
        self._instance(call)["NotebookInstanceStatus"] = "Stopped"
        return json_reply({})

    def _update(self, call: Call) -> Reply:
        record, params = self._instance(call), dict(call.params)
        self._must_be_stopped(record, "updated")
        if params.pop("DisassociateLifecycleConfig", False):
            record.pop("NotebookInstanceLifecycleConfigName", None)
        record |= {k: v for k, v in _renamed(params).items() if not k.startswith("Disassociate")}
        record["LastModifiedTime"] = time.time()
        return json_reply({})

    def _delete(self, call: Call) -> Reply:
        record = self._instance(call)
        self._must_be_stopped(record, "deleted")
        del self._instances[record["NotebookInstanceName"]]
        self._tags.pop(record["NotebookInstanceArn"], None)
        return json_reply({})

    def _instance(self, call: Call) -> Record:
        record = self._instances.get(call.params["NotebookInstanceName"])
        if record is None:
            raise _invalid("RecordNotFound")
        return record

    def _must_be_stopped(self, record: Record, what: str) -> None:
        status = record["NotebookInstanceStatus"]
        if status not in ("Stopped", "Failed"):
            raise _invalid(
                f"Status ({status}) not in ([Stopped, Failed]). Unable to transition to a state in "
                f"which ({record['NotebookInstanceArn']}) can be {what}."
            )

    def _create_config(self, call: Call) -> Reply:
        params = dict(call.params)
        name = params[f"{_CONFIG}Name"]
        arn = self._arn("notebook-instance-lifecycle-config", name)
        if name in self._configs:
            raise _invalid(f"Unable to create Notebook Instance Lifecycle Config {arn}: it exists.")
        self._tags[arn] = _by_key(params.pop("Tags", None))
        now = time.time()
        self._configs[name] = {
            f"{_CONFIG}Arn": arn,
            "CreationTime": now,
            "LastModifiedTime": now,
            **params,
        }
        return json_reply({f"{_CONFIG}Arn": arn})

    def _describe_config(self, call: Call) -> Reply:
        return json_reply(self._config(call))

    def _list_configs(self, _: Call) -> Reply:
        keys = (f"{_CONFIG}Name", f"{_CONFIG}Arn", "CreationTime", "LastModifiedTime")
        listed = [{key: one[key] for key in keys} for one in self._configs.values()]
        return json_reply({f"{_CONFIG}s": listed})

    def _update_config(self, call: Call) -> Reply:
        record = self._config(call)
        record |= {"OnCreate": [], "OnStart": [], **call.params, "LastModifiedTime": time.time()}
        return json_reply({})

    def _delete_config(self, call: Call) -> Reply:
        record = self._config(call)
        del self._configs[record[f"{_CONFIG}Name"]]
        self._tags.pop(record[f"{_CONFIG}Arn"], None)
        return json_reply({})

    def _config(self, call: Call) -> Record:
        record = self._configs.get(call.params[f"{_CONFIG}Name"])
        if record is None:
            raise _invalid("Unable to describe Notebook Instance Lifecycle Config: RecordNotFound")
        return record

    def _list_tags(self, call: Call) -> Reply:
        tags = self._tags.get(call.params["ResourceArn"])
        if tags is None:
            return self._others["sagemaker", call.operation](call)
        return json_reply({"Tags": _as_list(tags)})

    def _change_tags(self, call: Call) -> Reply:
        tags = self._tags.get(call.params["ResourceArn"])
        if tags is None:
            return self._others["sagemaker", call.operation](call)
        if call.operation == "AddTags":
            tags |= _by_key(call.params["Tags"])
            return json_reply({"Tags": _as_list(tags)})
        for key in call.params["TagKeys"]:
            tags.pop(key, None)
        return json_reply({})

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self._aws.region}:{self._aws.account_id}:{kind}/{name.lower()}"


def _renamed(params: Record) -> Record:
    """A lifecycle configuration is asked for under one name and described under another."""
    renamed = dict(params)
    if "LifecycleConfigName" in renamed:
        renamed["NotebookInstanceLifecycleConfigName"] = renamed.pop("LifecycleConfigName")
    return renamed


def _by_key(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)
