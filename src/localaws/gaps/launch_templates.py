"""EC2: a launch template's own tags are not part of its data."""

from collections.abc import Mapping

from localaws import wire
from localaws.core import Call, Observer, Operation, Reply


class LaunchTemplates:
    """Takes the template's own tags out of the versions that moto describes."""

    def __init__(self) -> None:
        self.observers: Mapping[Operation, Observer] = {
            ("ec2", "CreateLaunchTemplateVersion"): self._version,
            ("ec2", "DescribeLaunchTemplateVersions"): self._versions,
        }

    def _versions(self, call: Call, reply: Reply) -> Reply:
        members = wire.read_result(call, reply)
        for version in members.get("LaunchTemplateVersions", ()):
            _clean(version["LaunchTemplateData"])
        return wire.result(call, members)

    def _version(self, call: Call, reply: Reply) -> Reply:
        members = wire.read_result(call, reply)
        _clean(members["LaunchTemplateVersion"].get("LaunchTemplateData", {}))
        return wire.result(call, members)


def _clean(data: dict[str, list[dict[str, object]]]) -> None:
    if "TagSpecifications" in data:
        data["TagSpecifications"] = [
            one for one in data["TagSpecifications"] if one.get("ResourceType") != "launch-template"
        ]
