"""Conditions and the reach of a statement, as AWS's documentation says them, without a server."""

from typing import Any

import pytest

from localaws.iam.conditions import conditions_hold
from localaws.iam.evaluator import Policies, Question, refusal

ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/dogs"
ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:dogs:live"


@pytest.mark.parametrize(
    ("operator", "wanted", "got", "holds"),
    [
        ("StringEquals", "dogs", ["dogs"], True),
        ("StringEquals", "dogs", ["Dogs"], False),
        ("StringEquals", "do*", ["dogs"], False),
        ("StringEquals", "do*", ["do*"], True),
        ("StringEquals", ["cats", "dogs"], ["dogs"], True),
        ("StringEquals", True, ["true"], True),
        ("StringEquals", "dogs", None, False),
        ("StringEqualsIgnoreCase", "dogs", ["Dogs"], True),
        ("StringNotEquals", "dogs", ["cats"], True),
        ("StringNotEquals", ["cats", "dogs"], ["dogs"], False),
        ("StringNotEquals", "dogs", None, True),
        ("StringNotEqualsIgnoreCase", "dogs", ["DOGS"], False),
        ("StringLike", "do*", ["dogs/a"], True),
        ("StringLike", "do?s", ["dogs"], True),
        ("StringLike", "do?s", ["dos"], False),
        ("StringLike", "do", ["dogs"], False),
        ("StringLike", "d.gs", ["dogs"], False),
        ("StringNotLike", "do*", ["cats"], True),
        ("StringNotLike", "do*", ["dogs"], False),
        ("stringlike", "do*", ["dogs"], True),
        ("ArnLike", "arn:aws:sagemaker:*:123456789012:endpoint/*", [ENDPOINT], True),
        ("ArnLike", "arn:aws:s3:*:*:*", [ENDPOINT], False),
        ("ArnLike", "arn:aws:lambda:*:dogs:live", [ALIAS], False),
        ("ArnLike", "arn:aws:lambda:*:*:*:live", [ALIAS], True),
        ("ArnEquals", "arn:aws:sagemaker:*:*:endpoint/do*", [ENDPOINT], True),
        ("ArnNotLike", "arn:aws:sagemaker:*:*:*", [ENDPOINT], False),
        ("NumericEquals", "10", ["10.0"], True),
        ("NumericNotEquals", 10, ["11"], True),
        ("NumericLessThan", "10", ["9"], True),
        ("NumericLessThan", "10", ["10"], False),
        ("NumericLessThanEquals", 10, ["10"], True),
        ("NumericGreaterThan", "9", ["10"], True),
        ("NumericGreaterThan", "10", ["10"], False),
        ("NumericGreaterThanEquals", "10", ["10"], True),
        ("NumericLessThan", "10", ["few"], False),
        ("Bool", "true", ["true"], True),
        ("Bool", True, ["true"], True),
        ("Bool", "false", ["true"], False),
        ("Bool", "false", None, False),
        ("BoolIfExists", "false", None, True),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", ["2026-11-22T16:00:00Z"], True),
        ("DateLessThan", "2026-01-01T00:00:00Z", ["2026-11-22T16:00:00Z"], False),
        ("DateEquals", "2026-11-22T16:00:00Z", ["1795363200"], True),
        ("DateGreaterThanEquals", "2026-11-22", ["2026-11-22T00:00:00Z"], True),
        ("DateLessThanEquals", "2026-11-22T16:00:00Z", ["2026-11-22T16:00:01Z"], False),
        ("IpAddress", "10.0.0.0/8", ["10.1.2.3"], True),
        ("IpAddress", "10.0.0.0/8", ["11.1.2.3"], False),
        ("IpAddress", "10.1.2.3", ["10.1.2.3"], True),
        ("IpAddress", "10.0.0.0/8", ["sagemaker.amazonaws.com"], False),
        ("NotIpAddress", ["10.0.0.0/8", "11.0.0.0/8"], ["11.1.2.3"], False),
        ("NotIpAddress", "10.0.0.0/8", ["11.1.2.3"], True),
        ("BinaryEquals", "ZG9ncw==", ["ZG9ncw=="], True),
        ("BinaryEquals", "ZG9ncw==", ["Y2F0cw=="], False),
        ("Null", "true", None, True),
        ("Null", "true", ["dogs"], False),
        ("Null", "false", ["dogs"], True),
        ("Null", False, None, False),
        ("StringEqualsIfExists", "dogs", None, True),
        ("StringEqualsIfExists", "dogs", ["cats"], False),
        ("ForAllValues:StringEquals", ["dogs", "cats"], ["dogs"], True),
        ("ForAllValues:StringEquals", ["dogs", "cats"], ["dogs", "owls"], False),
        ("ForAllValues:StringEquals", "dogs", [], True),
        ("ForAllValues:StringEquals", "dogs", None, True),
        ("ForAllValues:StringNotEquals", "dogs", ["cats", "dogs"], False),
        ("ForAnyValue:StringLike", ["do*", "ca*"], ["owls", "cats"], True),
        ("ForAnyValue:StringLike", ["do*", "ca*"], ["owls"], False),
        ("ForAnyValue:StringEquals", "dogs", [], False),
        ("ForAnyValue:StringEquals", "dogs", None, False),
        ("ForAnyValue:StringNotEquals", "dogs", ["dogs", "cats"], True),
        ("StringEquals", "${aws:username}", ["ann"], True),
        ("StringEquals", "${aws:username}", ["bob"], False),
        ("StringEquals", "${aws:userid}", ["ann"], False),
        ("StringEquals", "${aws:userid, 'ann'}", ["ann"], True),
        ("StringLike", "do${*}", ["dogs"], False),
        ("StringLike", "do${*}", ["do*"], True),
        ("StringResembles", "dogs", ["dogs"], False),
    ],
)
def test_an_operator_holds_as_aws_documents_it(
    operator: str, wanted: Any, got: list[str] | None, holds: bool
) -> None:
    context = {"aws:username": ["ann"]} | ({} if got is None else {"test:key": got})

    assert conditions_hold({operator: {"Test:Key": wanted}}, context) is holds


@pytest.mark.parametrize(
    ("block", "holds"),
    [
        ({}, True),
        ({"StringEquals": {"a:x": "1", "a:y": "2"}}, True),
        ({"StringEquals": {"a:x": "1", "a:y": "other"}}, False),
        ({"StringEquals": {"a:x": "1"}, "NumericLessThan": {"a:y": "2"}}, False),
    ],
)
def test_every_key_of_every_operator_must_hold(block: dict[str, Any], holds: bool) -> None:
    assert conditions_hold(block, {"a:x": ["1"], "a:y": ["2"]}) is holds


def allows(**statement: Any) -> bool:
    """Whether one statement of an identity policy lets InvokeEndpoint of the endpoint pass."""
    question = Question(
        principal_arn="arn:aws:iam::123456789012:user/ann",
        account_id="123456789012",
        action="sagemaker:InvokeEndpoint",
        resource=ENDPOINT,
        context={},
    )
    return refusal(question, Policies(identity=[{"Statement": statement}])) is None


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"Action": "sagemaker:InvokeEndpoint", "Resource": ENDPOINT}, True),
        ({"Action": "SageMaker:invoke*", "Resource": ENDPOINT}, True),
        ({"Action": ["s3:*", "sagemaker:*"], "Resource": ["other", ENDPOINT]}, True),
        ({"Action": "sagemaker:InvokeEndpointAsync", "Resource": ENDPOINT}, False),
        ({"Action": "*", "Resource": ENDPOINT.replace("dogs", "Dogs")}, False),
        ({"Action": "*", "Resource": ENDPOINT + "-2"}, False),
        ({"NotAction": "s3:*", "Resource": "*"}, True),
        ({"NotAction": ["s3:*", "sagemaker:Invoke*"], "Resource": "*"}, False),
        ({"Action": "*", "NotResource": "arn:aws:s3:::*"}, True),
        ({"Action": "*", "NotResource": [ENDPOINT, "arn:aws:s3:::*"]}, False),
        ({"Action": "*", "Resource": "*", "Condition": {"Bool": {"a:b": "true"}}}, False),
    ],
)
def test_a_statement_reaches_what_it_names_and_with_not_the_rest(
    statement: dict[str, Any], allowed: bool
) -> None:
    assert allows(Effect="Allow", **statement) is allowed


ALLOW = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}
DENY = {"Statement": {"Effect": "Deny", "Principal": "*", "NotAction": "s3:*", "Resource": "*"}}


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        (Policies(identity=[ALLOW, DENY], resource=ALLOW), "explicit deny in an identity-based"),
        (Policies(identity=[ALLOW], resource=DENY), "explicit deny in a resource-based"),
        (Policies(identity=[ALLOW], boundary=[ALLOW, DENY]), "explicit deny in a permissions"),
        (Policies(identity=[ALLOW], session=[ALLOW, DENY]), "explicit deny in a session"),
        (Policies(), "no identity-based policy allows"),
        (Policies(boundary=[ALLOW], session=[ALLOW]), "no identity-based policy allows"),
        (Policies(identity=[ALLOW], boundary=[]), "no permissions boundary allows"),
        (Policies(identity=[ALLOW], session=[]), "no session policy allows"),
    ],
)
def test_one_deny_or_one_missing_allow_refuses(policies: Policies, words: str) -> None:
    question = Question(
        principal_arn="arn:aws:iam::123456789012:user/ann",
        account_id="123456789012",
        action="sagemaker:InvokeEndpoint",
        resource=ENDPOINT,
        context={},
    )

    assert words in str(refusal(question, policies))
