data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ReadWhatItBuilds"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.arn}:s3:::${var.bucket.name}/image/*"]
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn}:logs:${local.account}:log-group:${local.log_group}:*"]
  }

  statement {
    sid = "PushImage"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:CompleteLayerUpload",
      "ecr:InitiateLayerUpload",
      "ecr:PutImage",
      "ecr:UploadLayerPart",
    ]
    resources = ["${local.arn}:ecr:${local.account}:repository/${local.repository_name}"]
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

  description              = "What the build of the image may do."
  name                     = local.project_name
  permissions_boundary_arn = var.permissions_boundary_arn
  policies = merge(
    { image = data.aws_iam_policy_document.this.json },
    var.bucket.policy_json == null ? {} : { bucket = var.bucket.policy_json },
  )
  service     = "codebuild.amazonaws.com"
  source_arns = ["${local.arn}:codebuild:${local.account}:project/${local.project_name}"]
  tags        = var.tags
}
