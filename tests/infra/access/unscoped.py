"""The few actions that are allowed on `*`, each with its reason."""

_REASONS = {
    "a condition names the namespace; AWS knows no resource": "cloudwatch:PutMetricData",
    "a login is for the whole registry": "ecr:GetAuthorizationToken",
    "the message channel belongs to the calling instance": (
        "ssmmessages:CreateControlChannel ssmmessages:CreateDataChannel "
        "ssmmessages:OpenControlChannel ssmmessages:OpenDataChannel"
    ),
    "X-Ray has no resource for what is sent to it": (
        "xray:PutTelemetryRecords xray:PutTraceSegments"
    ),
    "EC2 scopes hardly any Describe call; they read, and change nothing": (
        "ec2:DescribeAvailabilityZones ec2:DescribeDhcpOptions ec2:DescribeImages "
        "ec2:DescribeInstanceCreditSpecifications ec2:DescribeInstanceTypes "
        "ec2:DescribeInstances ec2:DescribeLaunchTemplateVersions ec2:DescribeLaunchTemplates "
        "ec2:DescribeNetworkAcls ec2:DescribeNetworkInterfaces ec2:DescribePrefixLists "
        "ec2:DescribeRegions "
        "ec2:DescribeRouteTables ec2:DescribeSecurityGroupRules ec2:DescribeSecurityGroups "
        "ec2:DescribeSubnets ec2:DescribeTags ec2:DescribeVolumes ec2:DescribeVpcEndpoints "
        "ec2:DescribeVpcs"
    ),
    "a list of names has no resource": (
        "cloudwatch:ListDashboards iam:ListInstanceProfiles iam:ListPolicies iam:ListRoles "
        "lambda:ListEventSourceMappings lambda:ListFunctions logs:DescribeLogGroups "
        "s3:ListAllMyBuckets "
        "sagemaker:ListEndpointConfigs sagemaker:ListEndpoints sagemaker:ListModels "
        "sagemaker:ListNotebookInstanceLifecycleConfigs sagemaker:ListNotebookInstances "
        "sagemaker:ListHyperParameterTuningJobs sagemaker:ListTrainingJobs sns:ListTopics "
        "sqs:ListQueues"
    ),
    "Application Auto Scaling scopes none of its Describe calls": (
        "application-autoscaling:DescribeScalableTargets "
        "application-autoscaling:DescribeScalingPolicies "
        "application-autoscaling:DescribeScheduledActions"
    ),
    "Systems Manager does not scope what it tells of instances and of commands": (
        "ssm:DescribeInstanceInformation ssm:GetCommandInvocation"
    ),
    "quotas and metrics are read of the whole account; AWS scopes them to nothing": (
        "cloudwatch:GetMetricStatistics lambda:GetAccountSettings servicequotas:GetServiceQuota "
        "servicequotas:ListServiceQuotas"
    ),
    "API Gateway asks them of who gives it an access log; AWS scopes them to nothing": (
        "logs:CreateLogDelivery logs:DeleteLogDelivery logs:DescribeResourcePolicies "
        "logs:GetLogDelivery logs:ListLogDeliveries logs:PutResourcePolicy "
        "logs:UpdateLogDelivery"
    ),
    "AWS chooses a mapping's name; a condition names its function": (
        "lambda:CreateEventSourceMapping"
    ),
    "a subscription is not a resource of SNS": "sns:GetSubscriptionAttributes sns:Unsubscribe",
}

UNSCOPED = {action: reason for reason, actions in _REASONS.items() for action in actions.split()}
"""The reason of each."""
