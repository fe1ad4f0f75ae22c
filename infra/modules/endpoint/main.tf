data "aws_sagemaker_prebuilt_ecr_image" "this" {
  count = local.image_is_address ? 0 : 1

  image_tag       = split(":", var.settings.image)[1]
  repository_name = split(":", var.settings.image)[0]
}

locals {
  image_is_address = strcontains(var.settings.image, "/")
  image            = local.image_is_address ? var.settings.image : data.aws_sagemaker_prebuilt_ecr_image.this[0].registry_path

  # A model that reads no pictures from the bucket needs no network at all.
  isolated      = var.settings.pictures_prefix == null
  model_version = substr(var.model.sha256, 0, 12)
  variant       = "live"

  # A model that does not answer /ping by then is given up, and the endpoint goes back.
  startup_seconds = 300

  environment = merge(
    {
      MODEL_VERSION              = local.model_version
      SAGEMAKER_PROGRAM          = "inference.py"
      SAGEMAKER_SUBMIT_DIRECTORY = "/opt/ml/model/code"
    },
    local.isolated ? {} : { PICTURES_URI = "s3://${var.bucket.name}/${var.settings.pictures_prefix}" },
  )

  # Models and endpoint configurations cannot change in place. Naming them by all that they are
  # made of makes a change a new pair, so the endpoint rolls over to it.
  model_content = {
    environment = local.environment
    image       = local.image
    isolated    = local.isolated
    model       = var.model
    network     = var.vpc == null ? null : { security_groups = var.vpc.security_group_ids, subnets = var.vpc.subnet_ids }
  }
  model_name  = "${var.name}-${substr(sha256(jsonencode(local.model_content)), 0, 12)}"
  config_name = "${var.name}-${substr(sha256(jsonencode([local.model_content, local.variant, var.settings.instance_type, local.startup_seconds])), 0, 12)}"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/sagemaker/Endpoints/${var.name}"
  retention_in_days = var.log_retention_days

  tags = var.tags
}

resource "aws_sagemaker_model" "this" {
  enable_network_isolation = local.isolated
  execution_role_arn       = module.role.arn
  name                     = local.model_name

  primary_container {
    environment    = local.environment
    image          = local.image
    model_data_url = "s3://${var.bucket.name}/${var.model.key}"
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]

    content {
      security_group_ids = vpc_config.value.security_group_ids
      subnets            = vpc_config.value.subnet_ids
    }
  }

  tags = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint_configuration" "this" {
  name = local.config_name

  production_variants {
    container_startup_health_check_timeout_in_seconds = local.startup_seconds
    # Autoscaling owns the count. A deploy starts with as many as are running now, so that a
    # busy fleet is not cut down to its minimum (hashicorp/terraform-provider-aws#48990).
    initial_instance_count = coalesce(var.live_instances, var.scaling.min_instances)
    initial_variant_weight = 1
    instance_type          = var.settings.instance_type
    model_name             = aws_sagemaker_model.this.name
    variant_name           = local.variant
  }

  tags = var.tags

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [production_variants[0].initial_instance_count]
  }
}

resource "aws_sagemaker_endpoint" "this" {
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this.name
  name                 = var.name

  tags = var.tags

  lifecycle {
    # SageMaker rolls a failed update back in silence and calls the endpoint healthy again.
    # Without this, the model in use would be deleted next.
    postcondition {
      condition     = self.endpoint_config_name == local.config_name
      error_message = "The endpoint still runs ${self.endpoint_config_name}: ${local.config_name} did not become healthy and SageMaker went back. The log group /aws/sagemaker/Endpoints/${var.name} says why; repair the model, or apply an older release."
    }
  }

  depends_on = [aws_cloudwatch_log_group.this]
}
