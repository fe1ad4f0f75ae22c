"""Network interfaces that a service makes in a VPC with the role that it is given."""

from collections.abc import Mapping
from typing import Any

from localaws.core import Call
from localaws.iam.matching import as_list

Calls = list[tuple[str, dict[str, Any]]]
_LAMBDA = ("DescribeNetworkInterfaces", "DescribeSubnets")
_SAGEMAKER = (
    "DescribeDhcpOptions",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeVpcs",
)


def interface_calls(call: Call) -> Calls:
    """The calls of EC2 that a service makes for a call which puts something into a VPC."""
    subnets, groups = _place(call.params)
    if not subnets:
        return []
    looks = _LAMBDA if call.service == "lambda" else _SAGEMAKER
    anyone = {"NetworkInterfaceId": "*"}
    calls: Calls = [(operation, {}) for operation in looks]
    calls += [("CreateNetworkInterface", {"SubnetId": one, "Groups": groups}) for one in subnets]
    calls.append(("DeleteNetworkInterface", anyone))
    if call.service == "sagemaker":
        calls.append(("CreateNetworkInterfacePermission", anyone))
        calls.append(("DeleteNetworkInterfacePermission", anyone))
    return calls


def _place(params: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    config = params.get("VpcConfig") or params
    subnets = config.get("SubnetIds") or config.get("Subnets") or config.get("SubnetId")
    return as_list(subnets), as_list(config.get("SecurityGroupIds"))
