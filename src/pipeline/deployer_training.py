"""What the deployer may do with what trains: machines, their network, and jobs."""

from pipeline.rights import Project, Statement, allow, only_type


def machines(project: Project) -> list[Statement]:
    """EC2 instances, by their tag, and the commands that they run."""

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


def network(project: Project) -> list[Statement]:
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


def jobs(project: Project) -> list[Statement]:
    """Training jobs and searches; what they leave is read with the bucket's statements."""
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
