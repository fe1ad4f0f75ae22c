"""The few actions that are allowed on `*`, each with its reason."""

UNSCOPED = {
    "cloudwatch:PutMetricData": "no resource; a condition names the namespace",
    "ec2:DescribeDhcpOptions": "EC2 scopes no Describe call",
    "ec2:DescribeNetworkInterfaces": "EC2 scopes no Describe call",
    "ec2:DescribeSecurityGroups": "EC2 scopes no Describe call",
    "ec2:DescribeSubnets": "EC2 scopes no Describe call",
    "ec2:DescribeVpcs": "EC2 scopes no Describe call",
    "ecr:GetAuthorizationToken": "a login is for the whole registry",
    "ssmmessages:CreateControlChannel": "the channel belongs to the calling instance",
    "ssmmessages:CreateDataChannel": "the channel belongs to the calling instance",
    "ssmmessages:OpenControlChannel": "the channel belongs to the calling instance",
    "ssmmessages:OpenDataChannel": "the channel belongs to the calling instance",
    "xray:PutTelemetryRecords": "X-Ray has no resource for what is sent to it",
    "xray:PutTraceSegments": "X-Ray has no resource for what is sent to it",
}
