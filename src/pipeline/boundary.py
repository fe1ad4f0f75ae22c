"""The boundary: what no role of the project can do more than, whatever its policies say."""

from pipeline.rights import Document, Project, allow, document, only_type


def boundary_policy(project: Project) -> Document:
    """The boundary policy: the most that all project roles together need."""
    name, bucket = project.name, project.bucket
    logs = [
        project.arn("logs", f"log-group:{group}:*")
        for group in (
            f"/{name}/training",
            f"/aws/codebuild/{name}-image",
            f"/aws/lambda/{name}",
            f"/aws/sagemaker/Endpoints/{name}",
            f"/aws/sagemaker/Endpoints/{name}-notebook",
            "/aws/sagemaker/NotebookInstances",
            "/aws/sagemaker/TrainingJobs",
        )
    ]
    ec2 = [project.arn("ec2", f"{kind}/*") for kind in ("network-interface", "security-group",
                                                        "subnet")]  # fmt: skip
    jobs = [
        project.arn("sagemaker", f"{kind}/{name}-*")
        for kind in ("hyper-parameter-tuning-job", "training-job")
    ]
    statements = [
        allow("Objects", "s3:AbortMultipartUpload GetObject PutObject", f"{bucket}/*"),
        allow("Bucket", "s3:ListBucket", bucket),
        allow(
            "Logs",
            "logs:CreateLogGroup CreateLogStream DescribeLogStreams GetLogEvents PutLogEvents",
            logs,
        ),
        allow(
            "Metrics",
            "cloudwatch:PutMetricData",
            "*",
            {
                "StringEquals": {
                    "cloudwatch:namespace": [
                        "/aws/sagemaker/Endpoints",
                        "/aws/sagemaker/TrainingJobs",
                    ]
                }
            },
        ),
        allow("Alarms", "cloudwatch:DescribeAlarms", project.arn("cloudwatch", f"alarm:{name}-*")),
        allow(
            "Images",
            "ecr:BatchCheckLayerAvailability BatchGetImage GetDownloadUrlForLayer",
            f"arn:{project.partition}:ecr:*:*:repository/*",
        ),
        allow(
            "PushImages",
            "ecr:CompleteLayerUpload InitiateLayerUpload PutImage UploadLayerPart",
            project.arn("ecr", f"repository/{name}-serving"),
        ),
        allow("ReadVersions", "s3:GetObjectVersion", f"{bucket}/image/*"),
        allow("Duty", "ssm:UpdateInstanceInformation", project.arn("ec2", "instance/*")),
        allow(
            "Ask",
            "sagemaker:InvokeEndpoint",
            [project.arn("sagemaker", f"endpoint/{end}") for end in (name, f"{name}-notebook")],
        ),
        allow(
            "StartJobs",
            "sagemaker:CreateHyperParameterTuningJob CreateTrainingJob",
            jobs,
            only_type(project.job_type),
        ),
        allow(
            "Jobs",
            "sagemaker:AddTags DescribeHyperParameterTuningJob DescribeTrainingJob "
            "ListTrainingJobsForHyperParameterTuningJob StopHyperParameterTuningJob "
            "StopTrainingJob",
            jobs,
        ),
        allow(
            "TryModels",
            "sagemaker:CreateEndpoint CreateEndpointConfig CreateModel DeleteEndpoint "
            "DeleteEndpointConfig DeleteModel DescribeEndpoint DescribeEndpointConfig "
            "DescribeModel",
            [
                project.arn("sagemaker", f"{kind}/{name}-notebook")
                for kind in ("endpoint", "endpoint-config", "model")
            ],
        ),
        allow(
            "Notebook",
            "sagemaker:StopNotebookInstance",
            project.arn("sagemaker", f"notebook-instance/{name}"),
        ),
        allow(
            "PassTrainingRole",
            "iam:PassRole",
            project.roles(["training-job"]),
            {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        allow("DeadLetters", "sqs:SendMessage", project.arn("sqs", f"{name}-dead-letters")),
        allow(
            "Batch",
            "sqs:DeleteMessage GetQueueAttributes ReceiveMessage",
            project.arn("sqs", f"{name}-batch"),
        ),
        allow(
            "Interfaces",
            "ec2:CreateNetworkInterface CreateNetworkInterfacePermission DeleteNetworkInterface "
            "DeleteNetworkInterfacePermission",
            ec2,
        ),
        # AWS scopes none of these: the network, a registry's login, commands, traces.
        allow(
            "Everywhere",
            "ec2:DescribeDhcpOptions DescribeNetworkInterfaces DescribeSecurityGroups "
            "DescribeSubnets DescribeVpcs ecr:GetAuthorizationToken "
            "ssmmessages:CreateControlChannel ssmmessages:CreateDataChannel "
            "ssmmessages:OpenControlChannel ssmmessages:OpenDataChannel "
            "xray:PutTelemetryRecords xray:PutTraceSegments",
            "*",
        ),
    ]
    if project.kms_key_arn:
        statements.append(allow("Key", "kms:Decrypt GenerateDataKey", project.kms_key_arn))
    return document(statements)
