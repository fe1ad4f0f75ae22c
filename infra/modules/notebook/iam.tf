data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  account    = "${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  arn        = "arn:${data.aws_partition.this.partition}"
  bucket_arn = "${local.arn}:s3:::${var.bucket.name}"
  job_arns = [
    for kind in ["hyper-parameter-tuning-job", "training-job"] :
    "${local.arn}:sagemaker:${local.account}:${kind}/${var.job_prefix}-*"
  ]
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

  # Only on the machines of the settings, so that a slip of the pen does not cost a fortune.
  statement {
    sid       = "StartJobs"
    actions   = ["sagemaker:CreateHyperParameterTuningJob", "sagemaker:CreateTrainingJob"]
    resources = local.job_arns

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "sagemaker:InstanceTypes"
      values   = [var.job_type]
    }

    condition {
      test     = "Null"
      variable = "sagemaker:InstanceTypes"
      values   = ["false"]
    }
  }

  statement {
    sid = "FollowJobs"
    actions = [
      "sagemaker:AddTags",
      "sagemaker:DescribeHyperParameterTuningJob",
      "sagemaker:DescribeTrainingJob",
      "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
      "sagemaker:StopHyperParameterTuningJob",
      "sagemaker:StopTrainingJob",
    ]
    resources = local.job_arns
  }

  # The endpoint that a model is tried on: one name, one instance type.
  statement {
    sid       = "SizeOwnEndpoint"
    actions   = ["sagemaker:CreateEndpointConfig"]
    resources = ["${local.arn}:sagemaker:${local.account}:endpoint-config/${var.endpoint.name}"]

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "sagemaker:InstanceTypes"
      values   = [var.endpoint.instance_type]
    }

    condition {
      test     = "Null"
      variable = "sagemaker:InstanceTypes"
      values   = ["false"]
    }
  }

  statement {
    sid = "TryModels"
    actions = [
      "sagemaker:CreateEndpoint",
      "sagemaker:CreateModel",
      "sagemaker:DeleteEndpoint",
      "sagemaker:DeleteEndpointConfig",
      "sagemaker:DeleteModel",
      "sagemaker:DescribeEndpoint",
      "sagemaker:DescribeEndpointConfig",
      "sagemaker:DescribeModel",
      "sagemaker:InvokeEndpoint",
    ]
    resources = [
      for kind in ["endpoint", "endpoint-config", "model"] :
      "${local.arn}:sagemaker:${local.account}:${kind}/${var.endpoint.name}"
    ]
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
