variable "archive" {
  description = "function.zip in the bucket."
  type = object({
    key    = string
    sha256 = string
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.archive.sha256))
    error_message = "archive.sha256 must be 64 lowercase hex digits, as printed by \"make package\"."
  }
}

variable "bucket_name" {
  description = "Bucket with the archive, and with the pictures of a batch."
  type        = string
  nullable    = false
}

variable "bucket_policy_json" {
  description = "What a role needs for the bucket's key; null without one. Only a batch writes there."
  type        = string
  default     = null
}

variable "endpoint" {
  description = "The one endpoint that it asks, and the prefix of the bucket that it may read pictures below."
  type = object({
    arn             = string
    name            = string
    pictures_prefix = optional(string)
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
    api = optional(object({
      burst               = number
      requests_per_second = number
    }))
    batch = optional(object({
      prefix         = string
      results_prefix = string
    }))
    canary = optional(object({
      percent = number
      seconds = number
    }))
    dead_letters            = optional(bool, false)
    memory_mb               = optional(number, 512)
    provisioned_concurrency = optional(number, 0)
    reserved_concurrency    = optional(number, 5)
    shrink_px               = optional(number)
    timeout_seconds         = optional(number, 30)
    traced                  = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.settings.api == null ? true : var.settings.api.burst >= 1 && var.settings.api.requests_per_second > 0
    error_message = "function.api.burst must be at least 1, and requests_per_second above 0."
  }

  validation {
    condition     = var.settings.batch == null ? true : alltrue([for prefix in values(var.settings.batch) : can(regex("^([A-Za-z0-9_.-]+/)+$", prefix))])
    error_message = "function.batch.prefix and results_prefix must end with a slash, like pictures/incoming/."
  }

  validation {
    condition     = var.settings.batch == null ? true : !startswith(var.settings.batch.results_prefix, var.settings.batch.prefix)
    error_message = "function.batch.results_prefix must not lie below prefix: each answer would be asked for again."
  }

  validation {
    condition     = var.settings.batch == null ? true : startswith(var.settings.batch.prefix, coalesce(var.endpoint.pictures_prefix, "none/"))
    error_message = "function.batch.prefix must lie below endpoint.pictures_prefix, where the endpoint may read."
  }

  validation {
    condition     = var.settings.batch == null ? true : var.settings.reserved_concurrency >= 3
    error_message = "function.reserved_concurrency must be at least 3 with a batch, which takes up to 2 of it."
  }

  validation {
    condition     = var.settings.canary == null ? true : var.settings.canary.percent >= 1 && var.settings.canary.percent <= 50
    error_message = "function.canary.percent must be 1 to 50."
  }

  validation {
    condition     = var.settings.canary == null ? true : var.settings.canary.seconds >= 10 && var.settings.canary.seconds <= 3600
    error_message = "function.canary.seconds must be 10 to 3600."
  }

  validation {
    condition     = var.settings.memory_mb >= 128 && var.settings.memory_mb <= 10240
    error_message = "function.memory_mb must be 128 to 10240."
  }

  validation {
    condition     = var.settings.provisioned_concurrency >= 0 && 2 * var.settings.provisioned_concurrency <= var.settings.reserved_concurrency
    error_message = "function.provisioned_concurrency must be 0 to half of reserved_concurrency: while code changes, both versions are warm."
  }

  validation {
    condition     = var.settings.reserved_concurrency >= 1
    error_message = "function.reserved_concurrency must be at least 1."
  }

  validation {
    condition     = var.settings.shrink_px == null ? true : var.settings.shrink_px >= 256 && var.settings.shrink_px <= 4096
    error_message = "function.shrink_px must be null or 256 to 4096."
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

variable "trial" {
  description = "While changed code is tried: the version that callers keep, and whether settings.canary.percent of them get the new one; null gives everybody the code of archive."
  type = object({
    old_version = string
    open        = bool
  })
  default = null

  validation {
    condition     = var.trial == null || var.settings.canary != null
    error_message = "trial must be null where settings.canary is: it says how many callers try the new code."
  }
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
