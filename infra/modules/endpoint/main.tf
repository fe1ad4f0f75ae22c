# The provider does not know every repository of AWS's images; they all are in one registry.
data "aws_sagemaker_prebuilt_ecr_image" "this" {
  count = local.image_is_address ? 0 : 1

  repository_name = "pytorch-inference"
}

locals {
  image_is_address = strcontains(var.settings.image, "/")
  image            = local.image_is_address ? var.settings.image : "${split("/", data.aws_sagemaker_prebuilt_ecr_image.this[0].registry_path)[0]}/${var.settings.image}"

  # SageMaker does not turn an endpoint of instances into a serverless one. Under another name, the
  # new one is there before the old one goes.
  endpoint_name = local.serverless ? "${var.name}-serverless" : var.name

  real_time  = var.settings.mode == "real-time"
  serverless = var.settings.mode == "serverless"

  # A model that reads no pictures from the bucket needs no network at all. AWS cannot isolate a
  # serverless endpoint.
  isolated      = var.settings.pictures_prefix == null && !local.serverless
  model_version = substr(var.model.sha256, 0, 12)
  variant       = "live"

  # A model that does not answer /ping by then is given up, and the endpoint goes back.
  startup_seconds = 300

  environment = merge(
    {
      MODEL_VERSION              = local.model_version
      PRECISION                  = var.settings.precision
      SAGEMAKER_PROGRAM          = "inference.py"
      SAGEMAKER_SUBMIT_DIRECTORY = "/opt/ml/model/code"
    },
    # Ray would leave out log lines that look like others, such as those of requests.
    startswith(var.settings.image, "ray:") ? { RAY_DEDUP_LOGS = "0" } : {},
    var.settings.pictures_prefix == null ? {} : { PICTURES_URI = "s3://${var.bucket.name}/${var.settings.pictures_prefix}" },
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
  config_content = {
    capture_percent = var.settings.capture_percent
    model           = local.model_content
    variant         = local.variant
    runs_on         = local.serverless ? jsonencode(var.settings.serverless) : jsonencode([var.settings.instance_type, local.startup_seconds])
    # The provider updates the endpoint for a changed rollout alone. A configuration of its own
    # carries the live instance count into that update.
    rollout = local.serverless ? null : var.settings.rollout
  }
  model_name  = "${var.name}-${substr(sha256(jsonencode(local.model_content)), 0, 12)}"
  config_name = "${var.name}-${substr(sha256(jsonencode(local.config_content)), 0, 12)}"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/sagemaker/Endpoints/${local.endpoint_name}"
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

  dynamic "data_capture_config" {
    for_each = var.settings.capture_percent == 0 ? [] : [var.settings.capture_percent]

    content {
      destination_s3_uri          = "s3://${var.bucket.name}/capture"
      enable_capture              = true
      initial_sampling_percentage = data_capture_config.value

      # Everything else, such as a picture, is written in base64.
      capture_content_type_header {
        json_content_types = ["application/json"]
      }

      capture_options {
        capture_mode = "Input"
      }

      capture_options {
        capture_mode = "Output"
      }
    }
  }

  production_variants {
    container_startup_health_check_timeout_in_seconds = local.serverless ? null : local.startup_seconds
    # Autoscaling owns the count. A deploy starts with as many as are running now, so that a
    # busy fleet is not cut down to its minimum (hashicorp/terraform-provider-aws#48990).
    initial_instance_count = local.serverless ? null : coalesce(var.live_instances, var.scaling.min_instances)
    initial_variant_weight = 1
    instance_type          = local.serverless ? null : var.settings.instance_type
    model_name             = aws_sagemaker_model.this.name
    variant_name           = local.variant

    dynamic "serverless_config" {
      for_each = local.serverless ? [var.settings.serverless] : []

      content {
        max_concurrency         = serverless_config.value.max_concurrency
        memory_size_in_mb       = serverless_config.value.memory_mb
        provisioned_concurrency = serverless_config.value.provisioned_concurrency == 0 ? null : serverless_config.value.provisioned_concurrency
      }
    }
  }

  tags = var.tags

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [production_variants[0].initial_instance_count]
  }
}
