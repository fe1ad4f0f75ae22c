data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  account    = "${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  arn        = "arn:${data.aws_partition.this.partition}"
  bucket_arn = "${local.arn}:s3:::${var.bucket.name}"
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ReadArtifacts"
    actions   = ["s3:GetObject"]
    resources = [for prefix in var.readable_prefixes : "${local.bucket_arn}/${prefix}*"]
  }

  statement {
    sid       = "ListArtifacts"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = [for prefix in var.readable_prefixes : "${prefix}*"]
    }
  }

  statement {
    sid = "RunTrainingJobs"
    actions = [
      "sagemaker:AddTags",
      "sagemaker:CreateTrainingJob",
      "sagemaker:DescribeTrainingJob",
      "sagemaker:StopTrainingJob",
    ]
    resources = ["${local.arn}:sagemaker:${local.account}:training-job/${var.job_prefix}-*"]
  }

  statement {
    sid       = "PassTrainingRole"
    actions   = ["iam:PassRole"]
    resources = [var.training_job_role_arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["sagemaker.amazonaws.com"]
    }
  }

  statement {
    sid       = "FollowTrainingJobs"
    actions   = ["logs:DescribeLogStreams", "logs:GetLogEvents"]
    resources = ["${local.arn}:logs:${local.account}:log-group:/aws/sagemaker/TrainingJobs:*"]
  }

  # AWS's own group for all notebook instances of the account.
  statement {
    sid = "WriteOwnLog"
    actions = [
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:DescribeLogStreams",
      "logs:PutLogEvents",
    ]
    resources = ["${local.arn}:logs:${local.account}:log-group:/aws/sagemaker/NotebookInstances:*"]
  }

  statement {
    sid       = "StopItself"
    actions   = ["sagemaker:StopNotebookInstance"]
    resources = ["${local.arn}:sagemaker:${local.account}:notebook-instance/${var.name}"]
  }
}

module "role" {
  source = "../iam"

  description              = "What the notebook may do."
  name                     = "${var.name}-notebook"
  permissions_boundary_arn = var.permissions_boundary_arn
  policies = merge(
    { notebook = data.aws_iam_policy_document.this.json },
    var.bucket.policy_json == null ? {} : { bucket_key = var.bucket.policy_json },
    var.vpc == null ? {} : { network = var.vpc.policy_json },
  )
  service     = "sagemaker.amazonaws.com"
  source_arns = ["${local.arn}:sagemaker:${local.account}:*"]
  tags        = var.tags
}
