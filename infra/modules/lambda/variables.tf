variable "archive" {
  description = "function.zip in the bucket."
  type = object({
    bucket_name = string
    key         = string
    sha256      = string
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.archive.sha256))
    error_message = "archive.sha256 must be 64 lowercase hex digits, as printed by \"make package\"."
  }
}

variable "endpoint" {
  description = "The one endpoint that it asks."
  type = object({
    arn  = string
    name = string
  })
  nullable = false
}

variable "log_retention_days" {
  description = "How long its log is kept."
  type        = number
  default     = 14
  nullable    = false
}

variable "name" {
  description = "Name of the function."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "Policy that limits what the role can ever do; null is no limit."
  type        = string
  default     = null
}

variable "settings" {
  description = "How large the function is, and how many requests it answers at once."
  type = object({
    memory_mb               = optional(number, 512)
    provisioned_concurrency = optional(number, 0)
    reserved_concurrency    = optional(number, 5)
    timeout_seconds         = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.settings.memory_mb >= 128 && var.settings.memory_mb <= 10240
    error_message = "function.memory_mb must be 128 to 10240."
  }

  validation {
    condition     = var.settings.provisioned_concurrency >= 0 && var.settings.provisioned_concurrency <= var.settings.reserved_concurrency
    error_message = "function.provisioned_concurrency must be 0 to reserved_concurrency."
  }

  validation {
    condition     = var.settings.reserved_concurrency >= 1
    error_message = "function.reserved_concurrency must be at least 1."
  }

  validation {
    condition     = var.settings.timeout_seconds >= 5 && var.settings.timeout_seconds <= 900
    error_message = "function.timeout_seconds must be 5 to 900."
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
