variable "name" {
  description = "Prefix of the bucket's name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits and hyphens."
  }
}

variable "settings" {
  description = "How long the bucket remembers, and whether it may be deleted while it holds something."
  type = object({
    expire_old_versions_days = optional(number)
    expire_runs_days         = optional(number)
    force_destroy            = optional(bool, false)
    kms_key_arn              = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.settings.expire_old_versions_days == null ? true : var.settings.expire_old_versions_days >= 1
    error_message = "storage.expire_old_versions_days must be null or at least 1."
  }

  validation {
    condition     = var.settings.expire_runs_days == null ? true : var.settings.expire_runs_days >= 1
    error_message = "storage.expire_runs_days must be null or at least 1."
  }

  validation {
    condition     = var.settings.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.settings.kms_key_arn))
    error_message = "storage.kms_key_arn must be null or the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "tags" {
  description = "Added to the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
