data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  arn             = "arn:${data.aws_partition.this.partition}"
  account         = "${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  log_group       = "/aws/codebuild/${local.project_name}"
  project_name    = "${var.name}-image"
  repository_name = "${var.name}-serving"
  # Written from its parts, so that a plan knows it before the repository is there.
  repository = "${data.aws_caller_identity.this.account_id}.dkr.ecr.${data.aws_region.this.name}.${data.aws_partition.this.dns_suffix}/${local.repository_name}"
}

resource "aws_ecr_repository" "this" {
  # Every image can be built again from its tag's files.
  force_delete         = true
  image_tag_mutability = "IMMUTABLE"
  name                 = local.repository_name

  encryption_configuration {
    encryption_type = "AES256"
  }

  image_scanning_configuration {
    scan_on_push = true
  }

  tags = var.tags
}

resource "aws_ecr_lifecycle_policy" "this" {
  policy = jsonencode({
    rules = [{
      action       = { type = "expire" }
      description  = "Keep the newest ${var.kept_images}."
      rulePriority = 1
      selection    = { countNumber = var.kept_images, countType = "imageCountMoreThan", tagStatus = "any" }
    }]
  })
  repository = aws_ecr_repository.this.name
}

resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_group
  retention_in_days = var.log_retention_days

  tags = var.tags
}

resource "aws_codebuild_project" "this" {
  build_timeout  = 20
  description    = "Builds the image that serves the model, and pushes it."
  name           = local.project_name
  queued_timeout = 30
  service_role   = module.role.arn

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    compute_type = "BUILD_GENERAL1_SMALL"
    image        = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
    # Docker needs it; it is the build's own machine, which ends with it.
    privileged_mode = true
    type            = "LINUX_CONTAINER"

    environment_variable {
      name  = "REPOSITORY"
      value = local.repository
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.this.name
    }
  }

  # Each build names the archive of its own tag below this folder.
  source {
    buildspec = file("${path.module}/buildspec.yml")
    location  = "${var.bucket.name}/image/"
    type      = "S3"
  }

  tags = var.tags
}
