"""What no plan may hold, whatever the reviewed tables say."""

import json
from typing import Any

import pytest
from tests.infra.access.variants import Variant

pytestmark = pytest.mark.slow
ACCOUNT = "us-east-1:123456789012"


@pytest.fixture(params=["released", "everything"])
def variant(planned: dict[str, Variant], request: pytest.FixtureRequest) -> Variant:
    return planned[request.param]


@pytest.fixture
def resources(variant: Variant) -> dict[str, dict[str, Any]]:
    """Planned values of every managed resource, by address."""
    managed = [change for change in variant.changes if change["mode"] == "managed"]
    return {change["address"]: change["change"]["after"] or {} for change in managed}


def test_the_function_may_ask_one_endpoint_and_write_its_log_and_nothing_else(
    planned: dict[str, Variant],
) -> None:
    assert planned["released"].roles["kennel-function"].policies["function"]["Statement"] == [
        {
            "Sid": "AskTheEndpoint",
            "Effect": "Allow",
            "Action": "sagemaker:InvokeEndpoint",
            "Resource": f"arn:aws:sagemaker:{ACCOUNT}:endpoint/kennel",
        },
        {
            "Sid": "WriteOwnLog",
            "Effect": "Allow",
            "Action": ["logs:PutLogEvents", "logs:CreateLogStream"],
            "Resource": f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/kennel:log-stream:*",
        },
    ]


def test_every_role_has_policies_and_is_limited_by_the_boundary(
    planned: dict[str, Variant],
) -> None:
    roles = planned["everything"].roles
    boundary = "arn:aws:iam::123456789012:policy/kennel-boundary"

    assert [name for name, role in roles.items() if not role.policies] == []
    assert {role.boundary_arn for role in roles.values()} == {boundary}
    assert set(roles) == set(planned["released"].roles) | {"kennel-image"}


def test_no_managed_policy_is_attached(resources: dict[str, dict[str, Any]]) -> None:
    attachments = [address for address in resources if "policy_attachment" in address]
    managed = [v for v in resources.values() if v.get("managed_policy_arns")]

    assert (attachments, managed) == ([], [])


def test_the_bucket_refuses_requests_without_tls(resources: dict[str, dict[str, Any]]) -> None:
    policy = json.loads(resources["module.storage.aws_s3_bucket_policy.this"]["policy"])
    refused = [statement for statement in policy["Statement"] if statement["Sid"] == "TlsOnly"]

    assert refused == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [
                "arn:aws:s3:::kennel-123456789012-us-east-1/*",
                "arn:aws:s3:::kennel-123456789012-us-east-1",
            ],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_nobody_is_let_in_from_outside_and_no_machine_has_a_key_pair(
    resources: dict[str, dict[str, Any]],
) -> None:
    rules = {
        address: values
        for address, values in resources.items()
        if "ingress_rule" in address or "aws_security_group_rule" in address
    }
    # The network's own endpoints answer its members, and no address.
    inside = {address for address in rules if address.endswith("ingress_rule.endpoints[0]")}
    ranges = ("cidr_ipv4", "cidr_ipv6", "prefix_list_id")
    doors = [address for address in resources if "aws_key_pair" in address]
    doors += [address for address, values in resources.items() if values.get("ingress")]
    doors += [a for a in rules if a not in inside or any(rules[a].get(r) for r in ranges)]
    keys = [values["key_name"] for values in resources.values() if values.get("key_name")]

    assert (doors, keys) == ([], [])
