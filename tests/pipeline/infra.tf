# Stands in for infra/ where only the way that Terraform is driven matters: it makes no resource
# of AWS and answers the output `stack` that the real one answers. The bucket is made by the test.
terraform {
  backend "s3" {}
}

variable "endpoint" {
  type = any
}

variable "live_instances" {
  type    = number
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

variable "tags" {
  type    = map(string)
  default = {}
}

locals {
  serving = var.release != null && var.endpoint.mode != "off"
  version = !local.serving ? null : substr(var.release.model.sha256, 0, 12)
}

resource "terraform_data" "base" {
  input = var.tags

  lifecycle {
    precondition {
      condition     = lookup(var.tags, "broken", "") == ""
      error_message = "This stack is broken on purpose."
    }
  }
}

resource "terraform_data" "endpoint" {
  count = var.release == null ? 0 : 1

  input = local.version
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
    endpoint              = !local.serving ? null : { name = var.name, variant = "live" }
    function              = var.release == null ? null : { alias = "live", api_url = null, name = var.name, url = "" }
    model_version         = local.version
    name                  = var.name
    notebook_name         = null
    region                = var.region
    stage                 = var.stage
    serving_image         = null
    training_image        = "pytorch:1"
    training_job_role_arn = "arn:aws:iam::123456789012:role/${var.name}"
  }
}
