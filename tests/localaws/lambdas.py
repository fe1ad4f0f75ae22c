"""Functions and roles for tests of what surrounds a function."""

import io
import json
import uuid
import zipfile
from typing import Any

HANDLER = """
import json
def handle(event, context):
    if event.get("body") == "fail" or event.get("do") == "fail":
        raise ValueError("no such dog")
    event["version"] = context.function_version
    return {"statusCode": 201, "headers": {"x-dog": "pug"}, "body": json.dumps(event)}
"""


def make_role(local_aws: Any, service: str, statements: list[dict[str, Any]]) -> str:
    """A role that a service takes; returns its ARN."""
    iam, name = local_aws.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    principal = {"AWS": service} if service.startswith("arn:") else {"Service": service}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    made = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
    )
    if statements:
        policy = {"Version": "2012-10-17", "Statement": statements}
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    return str(made["Role"]["Arn"])


def allow(action: str, resource: str) -> dict[str, str]:
    """One statement of a policy."""
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def make_function(
    local_aws: Any, role_arn: str, source: str = HANDLER, timeout_seconds: int = 20, **more: Any
) -> str:
    """A function with a version 1 and an alias `live` of it; returns its name."""
    client, name = local_aws.client("lambda"), f"dogs-{uuid.uuid4().hex[:8]}"
    client.create_function(
        FunctionName=name,
        Role=role_arn,
        Runtime="python3.13",
        Handler="handler.handle",
        Code={"ZipFile": zipped(source)},
        Timeout=timeout_seconds,
        Publish=True,
        **more,
    )
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


def zipped(source: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", source)
    return content.getvalue()
