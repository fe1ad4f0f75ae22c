locals {
  # SageMaker takes at most 16,384 characters, counted after base64.
  on_start = base64encode(templatefile("${path.module}/on_start.sh", {
    bucket_name  = var.bucket.name
    idle_minutes = var.settings.idle_minutes
    idle_stop    = file("${path.module}/idle_stop.py")
  }))
}

resource "aws_sagemaker_notebook_instance_lifecycle_configuration" "this" {
  name     = var.name
  on_start = local.on_start

  lifecycle {
    precondition {
      condition     = length(local.on_start) <= 16384
      error_message = "The start script has ${length(local.on_start)} characters in base64; SageMaker takes 16384. Shorten on_start.sh or idle_stop.py."
    }
  }
}

resource "aws_sagemaker_notebook_instance" "this" {
  # With its own network it goes through the VPC alone.
  direct_internet_access = var.vpc == null ? "Enabled" : "Disabled"
  instance_type          = var.settings.instance_type
  lifecycle_config_name  = aws_sagemaker_notebook_instance_lifecycle_configuration.this.name
  name                   = var.name
  platform_identifier    = "notebook-al2-v3"
  role_arn               = module.role.arn
  root_access            = "Disabled"
  security_groups        = var.vpc == null ? null : var.vpc.security_group_ids
  subnet_id              = var.vpc == null ? null : var.vpc.subnet_ids[0]
  volume_size            = var.settings.volume_gb

  instance_metadata_service_configuration {
    minimum_instance_metadata_service_version = "2"
  }

  tags = var.tags
}
