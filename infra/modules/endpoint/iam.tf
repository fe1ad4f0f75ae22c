data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  arn        = "arn:${data.aws_partition.this.partition}"
  account    = "${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  bucket_arn = "${local.arn}:s3:::${var.bucket.name}"
  image_part = regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[a-z.]+/(?P<repository>[^:@]+)", local.image)
}

data "aws_iam_policy_document" "this" {
  # Every release's archive, not just this one: while the endpoint rolls over, or back, instances
  # with the older model still start.
  statement {
    sid       = "ReadModels"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/model/*/model.tar.gz"]
  }

  dynamic "statement" {
    for_each = var.settings.pictures_prefix == null ? [] : [var.settings.pictures_prefix]

    content {
      sid       = "ReadPictures"
      actions   = ["s3:GetObject"]
      resources = ["${local.bucket_arn}/${statement.value}*"]
    }
  }

  # Without this, S3 calls a missing picture forbidden, and a caller's mistake looks like ours.
  dynamic "statement" {
    for_each = var.settings.pictures_prefix == null ? [] : [var.settings.pictures_prefix]

    content {
      sid       = "KnowMissingPictures"
      actions   = ["s3:ListBucket"]
      resources = [local.bucket_arn]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = ["${statement.value}*"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.settings.capture_percent == 0 ? [] : ["capture"]

    content {
      sid       = "WriteCapture"
      actions   = ["s3:PutObject"]
      resources = ["${local.bucket_arn}/${statement.value}/${local.endpoint_name}/*"]
    }
  }

  # SageMaker looks at them with this role while a new model takes over.
  dynamic "statement" {
    for_each = local.real_time ? [["5xx", "latency"]] : []

    content {
      sid       = "SeeRollbackAlarms"
      actions   = ["cloudwatch:DescribeAlarms"]
      resources = [for alarm in statement.value : "${local.arn}:cloudwatch:${local.account}:alarm:${var.name}-rollback-${alarm}"]
    }
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${local.arn}:logs:${local.account}:log-group:/aws/sagemaker/Endpoints/${local.endpoint_name}:*"]
  }

  # CloudWatch does not scope this call to a resource, only to a namespace.
  statement {
    sid       = "WriteMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = ["/aws/sagemaker/Endpoints"]
    }
  }

  statement {
    sid = "PullImage"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = ["${local.arn}:ecr:${local.image_part.region}:${local.image_part.account}:repository/${local.image_part.repository}"]
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

  description              = "What the model's container may do."
  name                     = "${var.name}-endpoint"
  permissions_boundary_arn = var.permissions_boundary_arn
  policies = merge(
    { endpoint = data.aws_iam_policy_document.this.json },
    var.bucket.policy_json == null ? {} : { bucket = var.bucket.policy_json },
    var.vpc == null ? {} : { network = var.vpc.policy_json },
  )
  service     = "sagemaker.amazonaws.com"
  source_arns = ["${local.arn}:sagemaker:${local.account}:*"]
  tags        = var.tags
}
