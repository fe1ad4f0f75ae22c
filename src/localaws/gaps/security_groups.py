"""EC2: rules between security groups keep their description, which moto loses."""

from collections.abc import Mapping

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
        rules = wire.read_result(call, reply).get("SecurityGroupRules", [])
        pairs = [
            pair
            for permission in call.params.get("IpPermissions", [])
            for pair in permission.get("UserIdGroupPairs", [])
        ]
        for rule in rules:
            other = rule.get("ReferencedGroupInfo", {}).get("GroupId")
            for pair in pairs:
                if pair.get("GroupId") == other and pair.get("Description"):
                    self._descriptions[rule["SecurityGroupRuleId"]] = pair["Description"]
        return reply

    def _described(self, call: Call, reply: Reply) -> Reply:
        members = wire.read_result(call, reply)
        for rule in members.get("SecurityGroupRules", []):
            known = self._descriptions.get(rule["SecurityGroupRuleId"])
            if known and not rule.get("Description"):
                rule["Description"] = known
        return wire.result(call, members)
