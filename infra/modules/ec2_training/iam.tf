data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  arn        = "arn:${data.aws_partition.this.partition}"
  account    = "${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  bucket_arn = "${local.arn}:s3:::${var.bucket.name}"
}

data "aws_iam_policy_document" "this" {
  # Systems Manager is how commands reach the machine, without a key or an open port. Its message
  # channels belong to the calling instance and take no resource. (Agents before 3.3.40 of 2024
  # also used ec2messages.)
  statement {
    sid = "ReceiveCommands"
    actions = [
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "ReportToSystemsManager"
    actions   = ["ssm:UpdateInstanceInformation"]
    resources = ["${local.arn}:ec2:${local.account}:instance/*"]
  }

  statement {
    sid       = "ReadWhatItTrainsFrom"
    actions   = ["s3:GetObject"]
    resources = [for prefix in ["data", "training", "weights"] : "${local.bucket_arn}/${prefix}/*"]
  }

  # A run is written while it lasts, and read again when it is resumed.
  statement {
    sid       = "KeepRuns"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    resources = ["${local.bucket_arn}/runs/*"]
  }

  # Copying a folder lists it first.
  statement {
    sid       = "ListWhatItMayRead"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["data/*", "runs/*", "training/*", "weights/*"]
    }
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${local.arn}:logs:${local.account}:log-group:/${var.name}/training:*"]
  }
}

module "role" {
  source = "../iam"

  description              = "What the EC2 training instance may do."
  name                     = "${var.name}-training"
  permissions_boundary_arn = var.permissions_boundary_arn
  policies = merge(
    { training = data.aws_iam_policy_document.this.json },
    var.bucket.policy_json == null ? {} : { bucket_key = var.bucket.policy_json },
  )
  service = "ec2.amazonaws.com"
  tags    = var.tags
}

resource "aws_iam_instance_profile" "this" {
  name = "${var.name}-training"
  role = module.role.name

  tags = var.tags
}
