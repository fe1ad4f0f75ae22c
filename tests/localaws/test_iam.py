"""Policies decide as AWS's would, with real ARNs, for every call of a role or a user."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow
ACCOUNT = "123456789012"
Statement = dict[str, Any]


def _policy(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _allow(action: Any, resource: Any = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def _trust(service: str, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return _policy(statement | ({"Condition": condition} if condition else {}))


class Account:
    """Makes roles and acts as them."""

    def __init__(self, local_aws: Any, prefix: str = "role") -> None:
        self._aws = local_aws
        self._prefix = prefix
        self.iam = local_aws.client("iam")
        self._made = 0

    def admin(self, service: str) -> Any:
        return self._aws.client(service)

    def role(self, *statements: Statement, **role: Any) -> str:
        self._made += 1
        name = f"{self._prefix}-{self._made}"
        role.setdefault("AssumeRolePolicyDocument", _trust("lambda.amazonaws.com"))
        arn: str = self.iam.create_role(RoleName=name, **role)["Role"]["Arn"]
        if statements:
            self.iam.put_role_policy(
                RoleName=name, PolicyName="inline", PolicyDocument=_policy(*statements)
            )
        return arn

    def acting(self, service: str, role_arn: str, session_policy: str | None = None) -> Any:
        more = {"Policy": session_policy} if session_policy else {}
        keys = self.admin("sts").assume_role(RoleArn=role_arn, RoleSessionName="session", **more)[
            "Credentials"
        ]
        return self._aws.client(
            service,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )


@pytest.fixture(scope="module")
def account(local_aws: Any) -> Account:
    return Account(local_aws)


def _denied(error: pytest.ExceptionInfo[ClientError]) -> str:
    assert error.value.response["Error"]["Code"] in (
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
    )
    return str(error.value.response["Error"]["Message"])


def _endpoint(name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/{name}"


def test_a_role_knows_who_it_is(account: Account) -> None:
    arn = account.role()

    who = account.acting("sts", arn).get_caller_identity()

    name = arn.rsplit("/", 1)[1]
    assert who["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/session"


def test_one_endpoint_may_be_invoked_and_no_other(account: Account) -> None:
    arn = account.role(_allow("sagemaker:InvokeEndpoint", _endpoint("mine")))
    runtime = account.acting("sagemaker-runtime", arn)

    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName="other", Body=b"")
    with pytest.raises(ClientError, match="not found"):
        runtime.invoke_endpoint(EndpointName="mine", Body=b"")

    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{arn.rsplit('/', 1)[1]}/session"
    assert _denied(caught) == (
        f"User: {session} is not authorized to perform: sagemaker:InvokeEndpoint on resource: "
        f"{_endpoint('other')} because no identity-based policy allows the "
        "sagemaker:InvokeEndpoint action"
    )


def test_an_explicit_deny_beats_an_allow(account: Account) -> None:
    deny = {"Effect": "Deny", "Action": "s3:List*", "Resource": "*"}
    s3 = account.acting("s3", account.role(_allow("s3:*"), deny))

    with pytest.raises(ClientError) as caught:
        s3.list_buckets()

    assert "with an explicit deny in an identity-based policy" in _denied(caught)


def test_a_boundary_only_takes_away(account: Account) -> None:
    boundary = account.iam.create_policy(
        PolicyName="boundary", PolicyDocument=_policy(_allow("logs:*"))
    )["Policy"]["Arn"]
    arn = account.role(_allow("s3:*"), PermissionsBoundary=boundary)

    with pytest.raises(ClientError) as in_policy_only:
        account.acting("s3", arn).list_buckets()
    with pytest.raises(ClientError) as in_boundary_only:
        account.acting("logs", arn).describe_log_groups()

    assert "no permissions boundary allows" in _denied(in_policy_only)
    assert "no identity-based policy allows" in _denied(in_boundary_only)


def test_a_session_policy_only_takes_away(account: Account) -> None:
    arn = account.role(_allow("s3:*"))
    session = account.acting("s3", arn, _policy(_allow("s3:GetObject")))

    with pytest.raises(ClientError) as caught:
        session.list_buckets()

    assert "no session policy allows" in _denied(caught)


def test_a_bucket_that_refuses_plain_http_answers_here(account: Account) -> None:
    s3 = account.admin("s3")
    s3.create_bucket(Bucket="tls-only")
    resources = ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"]
    insecure = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="tls-only", Policy=_policy(insecure))

    client = account.acting("s3", account.role(_allow("s3:*", resources)))
    client.put_object(Bucket="tls-only", Key="k", Body=b"x")

    assert client.get_object(Bucket="tls-only", Key="k")["Body"].read() == b"x"


def test_a_bucket_policy_can_refuse_and_can_grant(account: Account) -> None:
    s3 = account.admin("s3")
    s3.create_bucket(Bucket="judging")
    s3.put_object(Bucket="judging", Key="open", Body=b"x")
    stranger, owner = account.role(), account.role(_allow("s3:*"))
    bucket = "arn:aws:s3:::judging"
    grant = _allow("s3:GetObject", f"{bucket}/open", Principal={"AWS": stranger})
    refuse = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "NotResource": f"{bucket}/in/*",
    }
    s3.put_bucket_policy(Bucket="judging", Policy=_policy(grant, refuse))

    assert account.acting("s3", stranger).get_object(Bucket="judging", Key="open")
    account.acting("s3", owner).put_object(Bucket="judging", Key="in/k")
    with pytest.raises(ClientError) as caught:
        account.acting("s3", owner).put_object(Bucket="judging", Key="out/k")

    assert "with an explicit deny in a resource-based policy" in _denied(caught)


def test_a_missing_object_is_only_admitted_to_who_may_list(account: Account) -> None:
    account.admin("s3").create_bucket(Bucket="quiet")
    listing = _allow(
        "s3:ListBucket", "arn:aws:s3:::quiet", Condition={"StringLike": {"s3:prefix": "seen/*"}}
    )
    s3 = account.acting("s3", account.role(_allow("s3:GetObject", "arn:aws:s3:::quiet/*"), listing))

    with pytest.raises(ClientError) as hidden:
        s3.get_object(Bucket="quiet", Key="unseen/k")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="quiet", Key="seen/k")

    assert "s3:ListBucket" in _denied(hidden)


def test_a_log_group_is_the_only_one_written_to(account: Account) -> None:
    logs = account.admin("logs")
    logs.create_log_group(logGroupName="/own")
    logs.create_log_group(logGroupName="/other")
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/own:log-stream:*"
    writer = account.acting("logs", account.role(_allow("logs:CreateLogStream", group)))

    writer.create_log_stream(logGroupName="/own", logStreamName="s")
    with pytest.raises(ClientError) as caught:
        writer.create_log_stream(logGroupName="/other", logStreamName="s")

    assert "log-group:/other:log-stream:s" in _denied(caught)


def test_a_metric_namespace_is_the_only_one_written_to(account: Account) -> None:
    only = {"StringEquals": {"cloudwatch:namespace": "Own"}}
    arn = account.role(_allow("cloudwatch:PutMetricData", Condition=only))
    cloudwatch = account.acting("cloudwatch", arn)
    data = [{"MetricName": "m", "Value": 1}]

    cloudwatch.put_metric_data(Namespace="Own", MetricData=data)
    with pytest.raises(ClientError) as caught:
        cloudwatch.put_metric_data(Namespace="Other", MetricData=data)

    assert "cloudwatch:PutMetricData" in _denied(caught)


def test_passing_a_role_needs_its_own_permission(account: Account) -> None:
    model_role = account.role(AssumeRolePolicyDocument=_trust("sagemaker.amazonaws.com"))
    wrong = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    right = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    create = _allow("sagemaker:CreateModel")
    cannot = account.role(create, _allow("iam:PassRole", model_role, Condition=wrong))
    can = account.role(create, _allow("iam:PassRole", model_role, Condition=right))
    model = {
        "ExecutionRoleArn": model_role,
        "PrimaryContainer": {"Image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/i:1"},
    }

    with pytest.raises(ClientError) as caught:
        account.acting("sagemaker", cannot).create_model(ModelName="passed", **model)
    account.acting("sagemaker", can).create_model(ModelName="passed", **model)

    assert "iam:PassRole" in _denied(caught)


@pytest.mark.parametrize(
    "trust",
    [
        _trust("lambda.amazonaws.com"),
        _trust("sagemaker.amazonaws.com", StringEquals={"aws:SourceAccount": "999999999999"}),
        _trust("sagemaker.amazonaws.com", ArnLike={"aws:SourceArn": "arn:aws:sagemaker:*:*:job/*"}),
    ],
)
def test_a_service_cannot_take_a_role_that_does_not_trust_it(account: Account, trust: str) -> None:
    role = account.role(AssumeRolePolicyDocument=trust)

    with pytest.raises(ClientError, match="Could not assume role"):
        account.admin("sagemaker").create_model(
            ModelName="untrusted",
            ExecutionRoleArn=role,
            PrimaryContainer={"Image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/i:1"},
        )


def test_assuming_a_role_needs_its_trust_as_well(account: Account) -> None:
    caller = account.role(_allow("sts:AssumeRole"))
    open_to_account = _policy(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    )
    trusting = account.role(AssumeRolePolicyDocument=open_to_account)
    distrusting = account.role()
    sts = account.acting("sts", caller)

    assert sts.assume_role(RoleArn=trusting, RoleSessionName="session")
    with pytest.raises(ClientError) as caught:
        sts.assume_role(RoleArn=distrusting, RoleSessionName="session")

    assert "sts:AssumeRole" in _denied(caught)


def test_a_users_key_has_the_users_managed_policies(account: Account, local_aws: Any) -> None:
    account.iam.create_user(UserName="reader")
    key = account.iam.create_access_key(UserName="reader")["AccessKey"]
    s3 = local_aws.client(
        "s3",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    with pytest.raises(ClientError):
        s3.list_buckets()

    account.iam.attach_user_policy(
        UserName="reader", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )

    assert "Buckets" in s3.list_buckets()
    with pytest.raises(ClientError):
        s3.create_bucket(Bucket="not-for-readers")
