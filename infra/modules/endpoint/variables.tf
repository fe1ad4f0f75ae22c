variable "live_instances" {
  description = "How many instances run now; a new model starts with as many. Null is scaling.min_instances."
  type        = number
  default     = null

  validation {
    condition     = var.live_instances == null ? true : var.live_instances >= 1
    error_message = "live_instances must be null or at least 1."
  }
}

variable "log_retention_days" {
  description = "How long its log is kept."
  type        = number
  default     = 14
  nullable    = false
}

variable "model" {
  description = "model.tar.gz in the bucket."
  type = object({
    bucket_name = string
    key         = string
    sha256      = string
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.model.sha256))
    error_message = "model.sha256 must be 64 lowercase hex digits, as printed by \"make package\"."
  }
}

variable "name" {
  description = "Name of the endpoint, and prefix of its models."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "Policy that limits what the role can ever do; null is no limit."
  type        = string
  default     = null
}

variable "scaling" {
  description = "How far and how fast the endpoint follows its traffic."
  type = object({
    invocations_per_instance_per_minute = optional(number, 600)
    max_instances                       = optional(number, 5)
    min_instances                       = optional(number, 1)
    scale_in_cooldown_seconds           = optional(number, 30)
    scale_out_cooldown_seconds          = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.scaling.invocations_per_instance_per_minute > 0
    error_message = "scaling.invocations_per_instance_per_minute must be above 0."
  }

  validation {
    condition     = var.scaling.min_instances >= 1
    error_message = "scaling.min_instances must be at least 1."
  }

  validation {
    condition     = var.scaling.min_instances <= var.scaling.max_instances
    error_message = "scaling.min_instances must not exceed scaling.max_instances."
  }

  validation {
    condition     = var.scaling.scale_in_cooldown_seconds >= 0 && var.scaling.scale_out_cooldown_seconds >= 0
    error_message = "scaling cooldowns must not be negative."
  }
}

variable "settings" {
  description = "What runs the model."
  type = object({
    image           = optional(string, "pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker")
    instance_type   = optional(string, "ml.c7i.large")
    pictures_prefix = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^([0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[a-z.]+/)?[a-z0-9._/-]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$", var.settings.image))
    error_message = "endpoint.image must be repository:tag of AWS's prebuilt images, or the full ECR address of your own."
  }

  validation {
    condition     = startswith(var.settings.instance_type, "ml.")
    error_message = "endpoint.instance_type must start with 'ml.'."
  }

  validation {
    condition     = var.settings.pictures_prefix == null || can(regex("^([A-Za-z0-9_.-]+/)+$", var.settings.pictures_prefix))
    error_message = "endpoint.pictures_prefix must be null or end with a slash, like 'pictures/'."
  }
}

variable "tags" {
  description = "Added to every resource."
  type        = map(string)
  default     = {}
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
