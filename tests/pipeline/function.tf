# Stands in for infra/ where changed code of the function is deployed: the real function with its
# alias, and no endpoint. The test's functions answer by themselves; the bucket is made by the test.
terraform {
  backend "s3" {}
}

variable "function" {
  type = any
}

variable "function_trial" {
  type    = any
  default = null
}

variable "name" {
  type = string
}

variable "region" {
  type = string
}

variable "release" {
  type    = any
  default = null
}

variable "stage" {
  type = string
}

module "function" {
  source = "./modules/lambda"
  count  = var.release == null ? 0 : 1

  archive     = var.release.function
  bucket_name = "${var.name}-bucket"
  endpoint = {
    arn  = "arn:aws:sagemaker:${var.region}:123456789012:endpoint/${var.name}"
    name = var.name
  }
  name     = var.name
  settings = var.function
  trial    = var.function_trial
}

output "stack" {
  value = {
    account_id = "123456789012"
    bucket     = "${var.name}-bucket"
    ec2_training = {
      instance_id        = null
      instance_type      = "t3.large"
      launch_template_id = "lt-1"
      log_group          = "/${var.name}/training"
      max_hours          = 4
    }
    endpoint = var.release == null ? null : { name = var.name, variant = "live" }
    function = var.release == null ? null : {
      alias   = module.function[0].alias
      api_url = module.function[0].api_url
      name    = module.function[0].name
      url     = module.function[0].url
    }
    model_version         = var.release == null ? null : substr(var.release.model.sha256, 0, 12)
    name                  = var.name
    notebook_name         = null
    region                = var.region
    stage                 = var.stage
    serving_image         = null
    training_image        = "pytorch:1"
    training_job_role_arn = "arn:aws:iam::123456789012:role/${var.name}"
  }
}
