data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  ec2 = "arn:${data.aws_partition.this.partition}:ec2:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  # Not asked of the resource below: Terraform would read the policy only after making the group,
  # and a plan that is told the group's id could not show it.
  members_id = one(aws_security_group.members[*].id)
}

# What a role needs whose Lambda function, model or notebook gets a network interface here.
data "aws_iam_policy_document" "interfaces" {
  count = local.inside

  statement {
    sid     = "AttachToTheseSubnets"
    actions = ["ec2:CreateNetworkInterface"]
    resources = concat(
      ["${local.ec2}:network-interface/*", "${local.ec2}:security-group/${local.members_id}"],
      [for id in local.subnet_ids : "${local.ec2}:subnet/${id}"],
    )
  }

  # SageMaker lends the interface to the machine that it runs, and takes it back.
  statement {
    sid = "ManageOwnInterfaces"
    actions = [
      "ec2:CreateNetworkInterfacePermission",
      "ec2:DeleteNetworkInterface",
      "ec2:DeleteNetworkInterfacePermission",
    ]
    resources = ["${local.ec2}:network-interface/*"]
  }

  # EC2 does not scope its Describe calls to resources.
  statement {
    sid = "LookAround"
    actions = [
      "ec2:DescribeDhcpOptions",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
    ]
    resources = ["*"]
  }
}
