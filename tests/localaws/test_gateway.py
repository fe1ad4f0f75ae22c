"""Calls of AWS reach the records, and errors come back as AWS words them."""

import json
import subprocess
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow
LAMBDA = "arn:aws:lambda:us-east-1:123456789012"


def _get(url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, method=method, headers=names)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("sagemaker", "list_hub_contents", {"HubName": "h", "HubContentType": "Model"}),
        ("ec2", "get_console_screenshot", {"InstanceId": "i-1"}),
        (
            "iam",
            "list_policies_granting_service_access",
            {"Arn": "a" * 20, "ServiceNamespaces": ["s3"]},
        ),
        (
            "lambda",
            "list_functions_by_code_signing_config",
            {"CodeSigningConfigArn": f"{LAMBDA}:code-signing-config:csc-0123456789abcdef0"},
        ),
    ],
)
def test_a_call_that_nobody_implements_fails_with_its_name(
    local_aws: Any, service: str, operation: str, params: dict[str, Any]
) -> None:
    client = local_aws.client(service)

    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**params)

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    name = client.meta.method_to_api_mapping[operation]
    message = caught.value.response["Error"]["Message"]
    assert message == f"localaws does not implement {service}:{name}"


def test_a_key_that_nobody_made_is_refused(local_aws: Any) -> None:
    sts = local_aws.client("sts", aws_access_key_id="AKIAX", aws_secret_access_key="x")

    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        sts.get_caller_identity()


def test_an_unsigned_call_is_refused(local_aws: Any) -> None:
    request = urllib.request.Request(
        local_aws.url, data=b"{}", headers={"X-Amz-Target": "SageMaker.ListModels"}
    )

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)

    with caught.value as reply:
        assert reply.code == 403


def test_objects_of_any_size_and_name_come_back_the_same(local_aws: Any) -> None:
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="same-bytes")
    body, key = bytes(range(256)) * 4096, "a b/ü+c=1&d.bin"

    s3.put_object(Bucket="same-bytes", Key=key, Body=body, Metadata={"origin": "test"})
    found = s3.get_object(Bucket="same-bytes", Key=key)

    assert found["Body"].read() == body
    assert found["Metadata"] == {"origin": "test"}


def test_a_presigned_url_works_without_keys(local_aws: Any) -> None:
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket="presigned")
    s3.put_object(Bucket="presigned", Key="k", Body=b"hello")

    url = s3.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "k"})

    assert _get(url) == (200, "hello")


def test_the_real_cli_works_through_the_environment(local_aws: Any) -> None:
    done = subprocess.run(
        ["aws", "sts", "get-caller-identity", "--output", "json"],
        env=local_aws.env,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)["Account"] == local_aws.account_id


def test_the_deep_learning_image_is_found_by_its_parameter(local_aws: Any) -> None:
    name = (
        "/aws/service/deeplearning/ami/x86_64/"
        "oss-nvidia-driver-gpu-pytorch-2.5-ubuntu-22.04/latest/ami-id"
    )

    image = local_aws.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    found = local_aws.client("ec2").describe_images(ImageIds=[image])["Images"]

    assert "PyTorch 2.5 (Ubuntu 22.04)" in found[0]["Name"]


def test_a_notebook_keeps_its_tags_and_lifecycle(local_aws: Any) -> None:
    iam, sagemaker = local_aws.client("iam"), local_aws.client("sagemaker")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
            }
        ],
    }
    made = iam.create_role(RoleName="notebook", AssumeRolePolicyDocument=json.dumps(trust))

    arn = sagemaker.create_notebook_instance(
        NotebookInstanceName="book",
        InstanceType="ml.t3.medium",
        RoleArn=made["Role"]["Arn"],
        LifecycleConfigName="life",
        Tags=[{"Key": "a", "Value": "1"}],
    )["NotebookInstanceArn"]
    described = sagemaker.describe_notebook_instance(NotebookInstanceName="book")
    tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]

    assert described["NotebookInstanceLifecycleConfigName"] == "life"
    assert tags == [{"Key": "a", "Value": "1"}]


def test_metadata_is_only_for_instances_that_were_announced(local_aws: Any) -> None:
    url = f"{local_aws.url}/_localaws/instances/i-unknown/latest/api/token"

    assert _get(url, "PUT")[0] == 404


def test_container_credentials_need_their_token(local_aws: Any) -> None:
    url = f"{local_aws.url}/_localaws/credentials"

    assert _get(url, Authorization="guess")[0] == 401
