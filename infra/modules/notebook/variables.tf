variable "bucket" {
  description = "Bucket with the notebooks and the artifacts: the output bucket of modules/storage."
  type = object({
    name        = string
    policy_json = optional(string)
  })
  nullable = false
}

variable "endpoint" {
  description = "The endpoint that it may make, to try a model, and remove again."
  type = object({
    instance_type = string
    name          = string
  })
  nullable = false
}

variable "job_prefix" {
  description = "Training jobs that it may run are called <job_prefix>-..."
  type        = string
  nullable    = false
}

variable "job_type" {
  description = "Instance type of the jobs that it may run."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the notebook instance."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "Policy that limits what the role can ever do; null is no limit."
  type        = string
  default     = null
}

variable "readable_prefixes" {
  description = "What it may read in the bucket."
  type        = list(string)
  default     = ["data/", "jobs/", "model/", "notebooks/", "training/", "weights/"]
  nullable    = false
}

variable "settings" {
  description = "How large it is, and when it stops itself."
  type = object({
    idle_minutes  = optional(number, 60)
    instance_type = optional(string, "ml.t3.medium")
    volume_gb     = optional(number, 10)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.settings.idle_minutes >= 10 && var.settings.idle_minutes <= 1440
    error_message = "notebook.idle_minutes must be 10 to 1440."
  }

  validation {
    condition     = startswith(var.settings.instance_type, "ml.")
    error_message = "notebook.instance_type must start with 'ml.'."
  }

  validation {
    condition     = var.settings.volume_gb >= 5 && var.settings.volume_gb <= 16384
    error_message = "notebook.volume_gb must be 5 to 16384."
  }
}

variable "tags" {
  description = "Added to every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "training_job_role_arn" {
  description = "The role that it may hand to its training jobs."
  type        = string
  nullable    = false
}

variable "vpc" {
  description = "The output vpc of modules/network; null is AWS's default network."
  type = object({
    policy_json        = string
    security_group_ids = list(string)
    subnet_ids         = list(string)
  })
  default = null
}
