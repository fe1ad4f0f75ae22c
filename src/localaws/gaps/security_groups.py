"""EC2: rules about other groups and prefix lists keep their description, which moto loses."""

from collections.abc import Iterator, Mapping
from typing import Any

from localaws import wire
from localaws.core import Call, Observer, Operation, Reply


class SecurityGroupRules:
    """Remembers the description of each rule."""

    def __init__(self) -> None:
        self._descriptions: dict[str, str] = {}
        self.observers: Mapping[Operation, Observer] = {
            ("ec2", "AuthorizeSecurityGroupEgress"): self._made,
            ("ec2", "AuthorizeSecurityGroupIngress"): self._made,
            ("ec2", "DescribeSecurityGroupRules"): self._described,
        }

    def _made(self, call: Call, reply: Reply) -> Reply:
        descriptions = dict(_described_peers(call.params))
        for rule in wire.read_result(call, reply).get("SecurityGroupRules", []):
            peer = rule.get("ReferencedGroupInfo", {}).get("GroupId") or rule.get("PrefixListId")
            if peer in descriptions:
                self._descriptions[rule["SecurityGroupRuleId"]] = descriptions[peer]
        return reply

    def _described(self, call: Call, reply: Reply) -> Reply:
        members = wire.read_result(call, reply)
        for rule in members.get("SecurityGroupRules", []):
            known = self._descriptions.get(rule["SecurityGroupRuleId"])
            if known and not rule.get("Description"):
                rule["Description"] = known
        return wire.result(call, members)


def _described_peers(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Groups and prefix lists that rules are made about, and their descriptions."""
    for permission in params.get("IpPermissions", []):
        peers = [(p.get("GroupId"), p) for p in permission.get("UserIdGroupPairs", [])]
        peers += [(p.get("PrefixListId"), p) for p in permission.get("PrefixListIds", [])]
        for peer, said in peers:
            if peer and said.get("Description"):
                yield peer, said["Description"]
