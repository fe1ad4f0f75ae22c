output "stack" {
  description = "All that a program needs to know of this stage; written to build/stack.json."
  value = {
    account_id = data.aws_caller_identity.this.account_id
    bucket     = module.storage.bucket.name
    ec2_training = {
      instance_id        = module.ec2_training.instance_id
      instance_type      = var.ec2_training.instance_type
      launch_template_id = module.ec2_training.launch_template_id
      log_group          = module.ec2_training.log_group
      max_hours          = var.ec2_training.max_hours
    }
    endpoint = !local.serving ? null : {
      name    = module.endpoint[0].name
      variant = module.endpoint[0].variant
    }
    function = !local.released ? null : {
      alias   = module.function[0].alias
      api_url = module.function[0].api_url
      name    = module.function[0].name
      url     = module.function[0].url
    }
    model_version         = one(module.endpoint[*].model_version)
    name                  = var.name
    notebook_name         = one(module.notebook[*].name)
    region                = data.aws_region.this.name
    serving_image         = module.training_job.serving_image
    stage                 = var.stage
    training_image        = module.training_job.image
    training_job_role_arn = module.training_job.role_arn
  }
}
