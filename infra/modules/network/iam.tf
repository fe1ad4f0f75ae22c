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

# Through the door to S3 the members of an own VPC reach this account's buckets and nobody else's:
# nothing is carried out to a bucket of a stranger, whatever keys are used inside.
data "aws_iam_policy_document" "s3" {
  count = local.own

  statement {
    sid = "OwnBucketsOnly"
    actions = [
      "s3:AbortMultipartUpload",
      "s3:GetBucketLocation",
      "s3:GetObject",
      "s3:ListBucket",
      "s3:PutObject",
    ]
    resources = ["arn:${data.aws_partition.this.partition}:s3:::*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }

  # Amazon Linux fetches its packages from a bucket of AWS, unsigned.
  statement {
    sid       = "PackagesOfAmazonLinux"
    actions   = ["s3:GetObject"]
    resources = ["arn:${data.aws_partition.this.partition}:s3:::al2023-repos-${data.aws_region.this.name}-de612dc2/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}
