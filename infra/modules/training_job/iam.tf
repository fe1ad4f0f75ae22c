data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ReadWhatItTrainsFrom"
    actions   = ["s3:GetObject"]
    resources = [for prefix in ["data", "training", "weights"] : "${local.bucket_arn}/${prefix}/*"]
  }

  # Results, and checkpoints, which an interrupted job reads again.
  statement {
    sid       = "KeepJobs"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    resources = ["${local.bucket_arn}/jobs/*"]
  }

  # SageMaker lists a channel before it copies it.
  statement {
    sid       = "ListWhatItMayRead"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["data/*", "jobs/*", "training/*", "weights/*"]
    }
  }

  # AWS's own group for all training jobs of the account.
  statement {
    sid = "WriteLogs"
    actions = [
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:DescribeLogStreams",
      "logs:PutLogEvents",
    ]
    resources = [
      for group in concat(["/aws/sagemaker/TrainingJobs"], local.serving_group) :
      "${local.arn}:logs:${local.account}:log-group:${group}:*"
    ]
  }

  # CloudWatch does not scope this call to a resource, only to a namespace.
  statement {
    sid       = "WriteMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = concat(["/aws/sagemaker/TrainingJobs"], var.serving == null ? [] : ["/aws/sagemaker/Endpoints"])
    }
  }

  statement {
    sid = "PullImage"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = [for part in local.image_parts : "${local.arn}:ecr:${part.region}:${part.account}:repository/${part.repository}"]
  }

  # A login is for the whole registry.
  statement {
    sid       = "LogInToRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
}

module "role" {
  source = "../iam"

  description              = "What SageMaker training and tuning jobs may do."
  name                     = "${var.name}-training-job"
  permissions_boundary_arn = var.permissions_boundary_arn
  policies = merge(
    { training = data.aws_iam_policy_document.this.json },
    var.bucket.policy_json == null ? {} : { bucket_key = var.bucket.policy_json },
  )
  service     = "sagemaker.amazonaws.com"
  source_arns = ["${local.arn}:sagemaker:${local.account}:*"]
  tags        = var.tags
}
