data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {
  lifecycle {
    postcondition {
      condition     = self.name == var.region
      error_message = "The environment's region is ${self.name}, the settings of stage '${var.stage}' say ${var.region}. Set AWS_REGION=${var.region}, or change region in config/${var.stage}.tfvars.json."
    }
  }
}

locals {
  released = var.release != null
  # Switched off, the endpoint is gone and the function stays: its address never changes.
  serving             = local.released && var.endpoint.mode != "off"
  absent_endpoint_arn = "arn:${data.aws_partition.this.partition}:sagemaker:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}:endpoint/${var.name}"
  notebook_endpoint   = "${var.name}-notebook"
  own_image           = var.endpoint.image == "own"
  serving_image       = local.own_image ? "${module.image[0].repository}:${var.image_tag}" : var.endpoint.image
  tags                = merge(var.tags, { project = var.name, stage = var.stage })

  # What each member calls by itself. Images, logs and metrics of SageMaker and Lambda are moved by
  # AWS, outside the VPC.
  called_from_inside = concat(
    ["ssm", "ssmmessages"],
    local.released || var.notebook.enabled ? ["sagemaker.runtime"] : [],
    var.notebook.enabled ? ["logs", "sagemaker.api", "sts"] : [],
  )
}

module "storage" {
  source = "./modules/storage"

  name     = var.name
  settings = var.storage
  tags     = local.tags
}

module "network" {
  source = "./modules/network"

  name     = var.name
  services = local.called_from_inside
  settings = var.network
  tags     = local.tags
}

module "ec2_training" {
  source = "./modules/ec2_training"

  bucket                   = module.storage.bucket
  log_retention_days       = var.monitoring.log_retention_days
  name                     = var.name
  permissions_boundary_arn = var.permissions_boundary_arn
  settings                 = var.ec2_training
  tags                     = local.tags
  vpc                      = module.network.vpc
}

module "training_job" {
  source = "./modules/training_job"

  bucket                   = module.storage.bucket
  name                     = var.name
  permissions_boundary_arn = var.permissions_boundary_arn
  # The notebook tries a model on an endpoint of its own, with the role that made the model.
  serving  = var.notebook.enabled ? { endpoint_name = local.notebook_endpoint, image = local.serving_image } : null
  settings = var.training_job
  tags     = local.tags
}

module "notebook" {
  source = "./modules/notebook"
  count  = var.notebook.enabled ? 1 : 0

  bucket = module.storage.bucket
  endpoint = {
    instance_type = var.endpoint.instance_type
    name          = local.notebook_endpoint
  }
  job_prefix               = var.name
  job_type                 = var.training_job.instance_type
  name                     = var.name
  permissions_boundary_arn = var.permissions_boundary_arn
  settings                 = var.notebook
  tags                     = local.tags
  training_job_role_arn    = module.training_job.role_arn
  vpc                      = module.network.vpc
}

module "image" {
  source = "./modules/image"
  count  = local.own_image ? 1 : 0

  bucket                   = module.storage.bucket
  log_retention_days       = var.monitoring.log_retention_days
  name                     = var.name
  permissions_boundary_arn = var.permissions_boundary_arn
  tags                     = local.tags
}

module "endpoint" {
  source = "./modules/endpoint"
  count  = local.serving ? 1 : 0

  bucket                   = module.storage.bucket
  latency_seconds          = var.monitoring.latency_seconds
  live_instances           = var.live_instances
  log_retention_days       = var.monitoring.log_retention_days
  model                    = var.release.model
  name                     = var.name
  permissions_boundary_arn = var.permissions_boundary_arn
  scaling                  = var.scaling
  settings                 = merge(var.endpoint, { image = local.serving_image })
  tags                     = local.tags
  vpc                      = module.network.vpc
}

module "function" {
  source = "./modules/lambda"
  count  = local.released ? 1 : 0

  archive            = var.release.function
  bucket_name        = module.storage.bucket.name
  bucket_policy_json = module.storage.bucket.policy_json
  # The same with and without an endpoint; with one, the function changes only after it.
  endpoint = {
    arn             = local.serving ? module.endpoint[0].arn : local.absent_endpoint_arn
    name            = local.serving ? module.endpoint[0].name : var.name
    pictures_prefix = var.endpoint.pictures_prefix
  }
  log_retention_days       = var.monitoring.log_retention_days
  name                     = var.name
  permissions_boundary_arn = var.permissions_boundary_arn
  settings                 = var.function
  tags                     = local.tags
  trial                    = var.function_trial
  vpc                      = module.network.vpc
}

module "monitoring" {
  source = "./modules/monitoring"

  alarm_email = var.monitoring.alarm_email
  endpoint    = one([for endpoint in module.endpoint : { name = endpoint.name, variant = endpoint.variant }])
  function = one([for function in module.function : {
    name                 = function.name
    reserved_concurrency = var.function.reserved_concurrency
    timeout_seconds      = var.function.timeout_seconds
  }])
  latency_seconds = var.monitoring.latency_seconds
  max_monthly_usd = var.max_monthly_usd
  name            = var.name
  tags            = local.tags
  training = var.ec2_training.at_end == "terminate" ? null : {
    instance_id = module.ec2_training.instance_id
    max_hours   = var.ec2_training.max_hours
  }
}
