"""The deployer's policies: what the verbs call, on the project's own things."""

from pipeline.rights import (
    PASSED_TO,
    Document,
    Project,
    Statement,
    allow,
    document,
    only_type,
)


def deployer_policies(project: Project) -> dict[str, Document]:
    """The managed policies of the deployer, by name."""
    parts = {
        "looking": _looking(project),
        "storage": [*_state(project), *_bucket(project), *_logs(project)],
        "machines": _machines(project),
        "jobs": _jobs(project),
        "image": _image(project),
        "serving": [*_sagemaker(project), *_lambda(project), *_monitoring(project)],
        "roles": _roles(project),
    }
    if project.own_vpc:
        parts["network"] = _network(project)
    return {
        f"{project.name}-deployer-{part}": document(statements)
        for part, statements in parts.items()
    }


def trust(project: Project) -> Document:
    """Who may take the deployer's role: whom the account's own policies let."""
    return document(
        [
            {
                "Sid": "ThisAccount",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": project.iam("root")},
            }
        ]
    )


def _looking(project: Project) -> list[Statement]:
    """AWS does not scope these to resources, but for the last, of images of this account."""
    statements = [
        allow(
            "LookAroundEc2",
            "ec2:DescribeAvailabilityZones DescribeImages DescribeInstanceCreditSpecifications "
            "DescribeInstanceTypes DescribeInstances DescribeLaunchTemplateVersions "
            "DescribeLaunchTemplates DescribeNetworkAcls DescribeNetworkInterfaces "
            "DescribePrefixLists DescribeRouteTables DescribeSecurityGroupRules "
            "DescribeSecurityGroups DescribeSubnets DescribeTags DescribeVolumes "
            "DescribeVpcEndpoints DescribeVpcs",
            "*",
        ),
        allow(
            "ListByName",
            "cloudwatch:ListDashboards iam:ListInstanceProfiles iam:ListPolicies iam:ListRoles "
            "lambda:ListEventSourceMappings lambda:ListFunctions logs:DescribeLogGroups "
            "s3:ListAllMyBuckets "
            "sagemaker:ListEndpointConfigs sagemaker:ListEndpoints sagemaker:ListModels "
            "sagemaker:ListNotebookInstanceLifecycleConfigs sagemaker:ListNotebookInstances "
            "sns:ListTopics sqs:ListQueues",
            "*",
        ),
        allow(
            "FollowServing",
            "application-autoscaling:DescribeScalableTargets DescribeScalingPolicies "
            "DescribeScheduledActions cloudwatch:GetMetricStatistics",
            "*",
        ),
        allow(
            "LookAtQuotas",
            "ec2:DescribeRegions lambda:GetAccountSettings "
            "sagemaker:ListHyperParameterTuningJobs sagemaker:ListTrainingJobs "
            "servicequotas:GetServiceQuota servicequotas:ListServiceQuotas",
            "*",
        ),
        allow("FollowCommands", "ssm:DescribeInstanceInformation GetCommandInvocation", "*"),
        allow("FollowSubscriptions", "sns:GetSubscriptionAttributes Unsubscribe", "*"),
    ]
    repositories = [project.arn("ecr", f"repository/{name}") for name in project.own_repositories]
    if repositories:
        statements.append(allow("FindImages", "ecr:DescribeImages", repositories))
    return statements


def _state(project: Project) -> list[Statement]:
    state = project.state
    return [
        allow("FindState", "s3:ListBucket", state),
        allow("KeepState", "s3:GetObject PutObject", f"{state}/terraform.tfstate"),
        # The lock, and the note of an apply that did not come to its end.
        allow(
            "LockState",
            "s3:DeleteObject GetObject PutObject",
            [f"{state}/terraform.tfstate.{end}" for end in ("tflock", "unfinished")],
        ),
    ]


def _bucket(project: Project) -> list[Statement]:
    bucket = project.bucket
    statements = [
        allow(
            "ManageBucket",
            "s3:CreateBucket DeleteBucket DeleteBucketPolicy GetAccelerateConfiguration "
            "GetBucketAcl GetBucketCORS GetBucketLogging GetBucketNotification "
            "GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy "
            "GetBucketPublicAccessBlock "
            "GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite "
            "GetEncryptionConfiguration GetLifecycleConfiguration GetReplicationConfiguration "
            "ListBucket ListBucketVersions PutBucketNotification PutBucketOwnershipControls "
            "PutBucketPolicy "
            "PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning "
            "PutEncryptionConfiguration PutLifecycleConfiguration",
            bucket,
        ),
        allow(
            "UseObjects",
            "s3:AbortMultipartUpload DeleteObject DeleteObjectVersion GetObject PutObject",
            f"{bucket}/*",
        ),
    ]
    if project.kms_key_arn:
        statements.append(
            allow("UseKey", "kms:Decrypt DescribeKey GenerateDataKey", project.kms_key_arn)
        )
    return statements


def _logs(project: Project) -> list[Statement]:
    name = project.name
    groups = [
        project.arn("logs", f"log-group:{group}")
        for group in (
            f"/{name}/training",
            f"/aws/codebuild/{name}-image",
            f"/aws/lambda/{name}",
            f"/aws/sagemaker/Endpoints/{name}",
            f"/aws/vendedlogs/apis/{name}",
        )
    ]
    return [
        allow(
            "ManageLogs",
            "logs:CreateLogGroup DeleteLogGroup FilterLogEvents ListTagsForResource "
            "ListTagsLogGroup "
            "PutRetentionPolicy TagResource UntagResource",
            [arn for group in groups for arn in (group, f"{group}:*")],
        ),
    ]


def _machines(project: Project) -> list[Statement]:
    def of(*kinds: str) -> list[str]:
        return [project.arn("ec2", f"{kind}/*") for kind in kinds]

    ours = {"StringEquals": {"aws:ResourceTag/project": project.name}}
    named = {"StringEquals": {"aws:RequestTag/project": project.name}}
    public = f"arn:{project.partition}:ec2:{project.region}::image/*"
    return [
        allow(
            "ReadImageLines",
            "ssm:GetParameter",
            f"arn:{project.partition}:ssm:{project.region}::parameter/aws/service/*",
        ),
        allow(
            "MakeTagged",
            "ec2:CreateLaunchTemplate CreateSecurityGroup",
            of("launch-template", "security-group"),
            named,
        ),
        allow("MakeGroupsInVpcs", "ec2:CreateSecurityGroup", of("vpc")),
        allow("LaunchTagged", "ec2:RunInstances", of("instance", "volume"), named),
        allow("LaunchOwn", "ec2:RunInstances", of("launch-template", "security-group"), ours),
        # The default network and AWS's images bear no tags of ours.
        allow(
            "LaunchWith",
            "ec2:RunInstances",
            [*of("network-interface", "subnet"), public],
        ),
        allow(
            "TagWhatIsMade",
            "ec2:CreateTags",
            of("instance", "launch-template", "security-group", "security-group-rule", "volume"),
            {
                "StringEquals": {
                    "aws:RequestTag/project": project.name,
                    "ec2:CreateAction": [
                        "AuthorizeSecurityGroupEgress",
                        "CreateLaunchTemplate",
                        "CreateSecurityGroup",
                        "RunInstances",
                    ],
                }
            },
        ),
        allow(
            "ManageOwnMachines",
            "ec2:AuthorizeSecurityGroupEgress CreateLaunchTemplateVersion CreateTags "
            "DeleteLaunchTemplate DeleteSecurityGroup DeleteTags DescribeInstanceAttribute "
            "ModifyInstanceAttribute ModifyLaunchTemplate ModifySecurityGroupRules "
            "RevokeSecurityGroupEgress StartInstances StopInstances TerminateInstances",
            of("instance", "launch-template", "security-group", "security-group-rule", "volume"),
            ours,
        ),
        allow("WriteRules", "ec2:AuthorizeSecurityGroupEgress", of("security-group-rule"), named),
        # The provider asks this of images too; AWS says no to it for another reason.
        allow("LookAtImages", "ec2:GetInstanceUefiData", project.arn("ec2", "instance/ami-*")),
        allow("LookAtVpcs", "ec2:DescribeVpcAttribute", of("vpc")),
        allow(
            "SendShellScripts",
            "ssm:SendCommand",
            f"arn:{project.partition}:ssm:{project.region}::document/AWS-RunShellScript",
        ),
        allow(
            "CommandOwnMachines",
            "ssm:SendCommand",
            of("instance"),
            {"StringEquals": {"ssm:resourceTag/project": project.name}},
        ),
    ]


def _network(project: Project) -> list[Statement]:
    """For a VPC of its own, `network.mode` = `own`."""

    def of(*kinds: str) -> list[str]:
        return [project.arn("ec2", f"{kind}/*") for kind in kinds]

    ours = {"StringEquals": {"aws:ResourceTag/project": project.name}}
    named = {"StringEquals": {"aws:RequestTag/project": project.name}}
    made = ("route-table", "subnet", "vpc", "vpc-endpoint")
    return [
        allow(
            "MakeNetwork",
            "ec2:AuthorizeSecurityGroupIngress CreateRouteTable CreateSubnet CreateVpc "
            "CreateVpcEndpoint",
            of(*made, "security-group-rule"),
            named,
        ),
        allow(
            "TagNetwork",
            "ec2:CreateTags",
            of(*made, "security-group-rule"),
            {
                "StringEquals": {
                    "aws:RequestTag/project": project.name,
                    "ec2:CreateAction": [
                        "AuthorizeSecurityGroupIngress",
                        "CreateRouteTable",
                        "CreateSubnet",
                        "CreateVpc",
                        "CreateVpcEndpoint",
                    ],
                }
            },
        ),
        allow(
            "ManageNetwork",
            "ec2:AssociateRouteTable AuthorizeSecurityGroupIngress CreateRouteTable CreateSubnet "
            "CreateTags CreateVpcEndpoint DeleteRouteTable DeleteSubnet DeleteTags DeleteVpc "
            "DeleteVpcEndpoints DisassociateRouteTable ModifySubnetAttribute ModifyVpcAttribute "
            "ModifyVpcEndpoint RevokeSecurityGroupIngress",
            of(*made, "security-group"),
            ours,
        ),
        # AWS makes the VPC's default group, untagged; closing it begins with a tag.
        allow(
            "AdoptDefaultGroup",
            "ec2:CreateTags",
            of("security-group"),
            {**named, "Null": {"aws:ResourceTag/project": "true"}},
        ),
    ]


def _sagemaker(project: Project) -> list[Statement]:
    def of(*resources: str) -> list[str]:
        return [project.arn("sagemaker", resource) for resource in resources]

    name = project.name
    return [
        allow(
            "ManageEndpoint",
            "sagemaker:AddTags CreateEndpoint CreateEndpointConfig CreateModel DeleteEndpoint "
            "DeleteEndpointConfig DeleteModel DeleteTags DescribeEndpoint DescribeEndpointConfig "
            "DescribeModel ListTags UpdateEndpoint",
            of(f"endpoint/{name}", f"endpoint-config/{name}-*", f"model/{name}-*"),
        ),
        allow(
            "ManageNotebook",
            "sagemaker:AddTags CreateNotebookInstance CreateNotebookInstanceLifecycleConfig "
            "DeleteNotebookInstance DeleteNotebookInstanceLifecycleConfig DeleteTags "
            "DescribeNotebookInstance DescribeNotebookInstanceLifecycleConfig ListTags "
            "StartNotebookInstance StopNotebookInstance UpdateNotebookInstance "
            "UpdateNotebookInstanceLifecycleConfig",
            of(f"notebook-instance/{name}", f"notebook-instance-lifecycle-config/{name}"),
        ),
        allow(
            "ManageScaling",
            "application-autoscaling:DeleteScalingPolicy DeleteScheduledAction "
            "DeregisterScalableTarget ListTagsForResource PutScalingPolicy PutScheduledAction "
            "RegisterScalableTarget TagResource UntagResource",
            project.arn("application-autoscaling", "scalable-target/*"),
        ),
    ]


def _jobs(project: Project) -> list[Statement]:
    """Training jobs and searches; what they leave is read with `_bucket`."""
    jobs = [
        project.arn("sagemaker", f"{kind}/{project.name}-*")
        for kind in ("hyper-parameter-tuning-job", "training-job")
    ]
    return [
        # Only on the machines of the settings, so that a slip of the pen does not cost a fortune.
        allow(
            "StartJobs",
            "sagemaker:CreateHyperParameterTuningJob CreateTrainingJob",
            jobs,
            only_type(project.job_type),
        ),
        allow(
            "FollowJobs",
            "sagemaker:AddTags DescribeHyperParameterTuningJob DescribeTrainingJob "
            "ListTrainingJobsForHyperParameterTuningJob StopHyperParameterTuningJob "
            "StopTrainingJob",
            jobs,
        ),
        allow(
            "FollowTrainingJobs",
            "logs:DescribeLogStreams GetLogEvents",
            project.arn("logs", "log-group:/aws/sagemaker/TrainingJobs:*"),
        ),
    ]


def _image(project: Project) -> list[Statement]:
    """The endpoint's own image: its repository, and what builds it."""
    name = project.name
    return [
        allow(
            "ManageRepository",
            "ecr:CreateRepository DeleteLifecyclePolicy DeleteRepository DescribeImages "
            "DescribeImageScanFindings DescribeRepositories GetLifecyclePolicy "
            "ListTagsForResource PutImageScanningConfiguration PutImageTagMutability "
            "PutLifecyclePolicy TagResource UntagResource",
            project.arn("ecr", f"repository/{name}-serving"),
        ),
        allow(
            "BuildImages",
            "codebuild:BatchGetBuilds BatchGetProjects CreateProject DeleteProject StartBuild "
            "UpdateProject",
            project.arn("codebuild", f"project/{name}-image"),
        ),
        allow(
            "FollowBuilds",
            "logs:GetLogEvents",
            project.arn("logs", f"log-group:/aws/codebuild/{name}-image:*"),
        ),
    ]


def _lambda(project: Project) -> list[Statement]:
    function = project.arn("lambda", f"function:{project.name}")
    queues = [
        project.arn("sqs", f"{project.name}-{end}")
        for end in ("batch", "batch-dead-letters", "dead-letters")
    ]
    mappings = project.arn("lambda", "event-source-mapping:*")
    of_function = {"ArnLike": {"lambda:FunctionArn": [function, f"{function}:*"]}}
    statements = [
        allow(
            "ManageFunction",
            "lambda:AddPermission CreateAlias CreateFunction CreateFunctionUrlConfig DeleteAlias "
            "DeleteFunction DeleteFunctionConcurrency DeleteFunctionEventInvokeConfig "
            "GetFunctionConcurrency UpdateFunctionEventInvokeConfig "
            "DeleteFunctionUrlConfig DeleteProvisionedConcurrencyConfig GetAlias GetFunction "
            "GetFunctionCodeSigningConfig GetFunctionConfiguration GetFunctionEventInvokeConfig "
            "GetFunctionUrlConfig GetPolicy GetProvisionedConcurrencyConfig InvokeFunction "
            "ListTags ListVersionsByFunction PublishVersion PutFunctionConcurrency "
            "PutFunctionEventInvokeConfig PutProvisionedConcurrencyConfig "
            "RemovePermission TagResource UntagResource UpdateAlias UpdateFunctionCode "
            "UpdateFunctionConfiguration UpdateFunctionUrlConfig",
            [function, f"{function}:*"],
        ),
        # AWS chooses a mapping's name, so its function takes its place.
        allow("MapBatch", "lambda:CreateEventSourceMapping", "*", of_function),
        allow(
            "ManageBatch",
            "lambda:DeleteEventSourceMapping GetEventSourceMapping UpdateEventSourceMapping",
            mappings,
            of_function,
        ),
        allow("TagBatch", "lambda:ListTags TagResource UntagResource", mappings),
    ]
    apis = f"arn:{project.partition}:apigateway:{project.region}::"
    if not project.http_api:
        statements.append(allow("FindHttpApis", "apigateway:GET", f"{apis}/apis"))
    else:
        statements += [
            # AWS chooses an API's name, and its parts bear no tags.
            allow(
                "ManageHttpApis",
                "apigateway:DELETE GET PATCH POST PUT",
                [f"{apis}/apis", f"{apis}/apis/*", f"{apis}/tags/*"],
            ),
            # What API Gateway asks of who gives a stage its access log; AWS does not scope it.
            allow(
                "KeepAccessLog",
                "logs:CreateLogDelivery DeleteLogDelivery DescribeResourcePolicies "
                "GetLogDelivery ListLogDeliveries PutResourcePolicy UpdateLogDelivery",
                "*",
            ),
        ]
    return [
        *statements,
        allow(
            "ManageQueues",
            "sqs:CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl ListQueueTags "
            "SetQueueAttributes TagQueue UntagQueue",
            queues,
        ),
    ]


def _monitoring(project: Project) -> list[Statement]:
    name = project.name
    return [
        allow(
            "ManageAlarms",
            "cloudwatch:DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm "
            "TagResource UntagResource",
            project.arn("cloudwatch", f"alarm:{name}-*"),
        ),
        allow("FindAlarms", "cloudwatch:DescribeAlarms", project.arn("cloudwatch", "alarm:*")),
        allow(
            "ManageDashboard",
            "cloudwatch:DeleteDashboards GetDashboard PutDashboard",
            f"arn:{project.partition}:cloudwatch::{project.account_id}:dashboard/{name}",
        ),
        allow(
            "ManageTopic",
            "sns:CreateTopic DeleteTopic GetTopicAttributes ListTagsForResource "
            "SetTopicAttributes Subscribe TagResource UntagResource",
            project.arn("sns", f"{name}-alarms"),
        ),
        allow(
            "ManageBudget",
            "budgets:ListTagsForResource ModifyBudget TagResource UntagResource ViewBudget",
            f"arn:{project.partition}:budgets::{project.account_id}:budget/{name}",
        ),
    ]


def _roles(project: Project) -> list[Statement]:
    """A role that the deployer makes or changes never gets past the boundary."""
    roles, profile = project.roles(), project.iam(f"instance-profile/{project.name}-training")
    bounded = {"StringEquals": {"iam:PermissionsBoundary": project.boundary}}
    return [
        allow(
            "WriteRolesWithinBoundary",
            "iam:CreateRole DeleteRolePolicy PutRolePermissionsBoundary PutRolePolicy",
            roles,
            bounded,
        ),
        allow(
            "ManageRoles",
            "iam:DeleteRole GetRole GetRolePolicy ListAttachedRolePolicies "
            "ListInstanceProfilesForRole ListRolePolicies ListRoleTags TagRole UntagRole "
            "UpdateAssumeRolePolicy UpdateRole",
            roles,
        ),
        allow("KnowItself", "iam:GetRole", project.iam(f"role/{project.name}-deployer")),
        allow(
            "ManageInstanceProfile",
            "iam:AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile "
            "GetInstanceProfile ListInstanceProfileTags RemoveRoleFromInstanceProfile "
            "TagInstanceProfile UntagInstanceProfile",
            profile,
        ),
        *(
            allow(
                f"PassTo{service.split('.')[0].title()}",
                "iam:PassRole",
                project.roles(parts),
                {"StringEquals": {"iam:PassedToService": service}},
            )
            for service, parts in PASSED_TO.items()
        ),
    ]
