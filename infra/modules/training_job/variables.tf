variable "bucket" {
  description = "Bucket with the code, the data and the results: the output bucket of modules/storage."
  type = object({
    name        = string
    policy_json = optional(string)
  })
  nullable = false
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "Policy that limits what the role can ever do; null is no limit."
  type        = string
  default     = null
}

variable "serving" {
  description = "The endpoint that the notebook tries a job's model on, which runs with the job's role; null is none."
  type = object({
    endpoint_name = string
    image         = string
  })
  default = null
}

variable "settings" {
  description = "What jobs run, on which machines, and when they must stop."
  type = object({
    image          = optional(string, "pytorch:2.13-cpu-amzn2023-sagemaker")
    instance_count = optional(number, 1)
    instance_type  = optional(string, "ml.m5.xlarge")
    max_hours      = optional(number, 4)
    spot           = optional(bool, false)
    volume_gb      = optional(number, 50)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^([0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[a-z.]+/)?[a-z0-9._/-]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$", var.settings.image))
    error_message = "training_job.image must be repository:tag of AWS's training images, or the full ECR address of your own."
  }

  validation {
    condition     = startswith(var.settings.instance_type, "ml.")
    error_message = "training_job.instance_type must start with 'ml.'."
  }

  validation {
    condition     = strcontains(var.settings.image, "/") || can(regex("^ml\\.(g|gr|p)[0-9]", var.settings.instance_type)) != strcontains(var.settings.image, "-cpu")
    error_message = "training_job.image must be one for CUDA where training_job.instance_type has a GPU, and one with -cpu elsewhere."
  }

  validation {
    condition     = var.settings.instance_count >= 1 && var.settings.instance_count <= 16
    error_message = "training_job.instance_count must be 1 to 16."
  }

  validation {
    condition     = var.settings.max_hours >= 1 && var.settings.max_hours <= 120
    error_message = "training_job.max_hours must be 1 to 120."
  }

  validation {
    condition     = var.settings.volume_gb >= 1 && var.settings.volume_gb <= 16384
    error_message = "training_job.volume_gb must be 1 to 16384."
  }
}

variable "tags" {
  description = "Added to the role."
  type        = map(string)
  default     = {}
  nullable    = false
}
