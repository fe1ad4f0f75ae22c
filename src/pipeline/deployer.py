"""The deployer's policies: what the verbs call, on the project's own things."""

from pipeline.deployer_serving import function, http_api, image, monitoring, queues, sagemaker
from pipeline.deployer_training import jobs, machines, network
from pipeline.rights import PASSED_TO, Document, Project, Statement, allow, document


def deployer_policies(project: Project) -> dict[str, Document]:
    """The managed policies of the deployer, by name."""
    parts = {
        "looking": _looking(project),
        "storage": [*_state(project), *_bucket(project), *_logs(project)],
        "machines": machines(project),
        "jobs": jobs(project),
        "image": image(project),
        "serving": [*sagemaker(project), *monitoring(project)],
        "function": [*function(project), *http_api(project), *queues(project)],
        "roles": _roles(project),
    }
    if project.own_vpc:
        parts["network"] = network(project)
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
