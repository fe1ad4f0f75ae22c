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
    force_destroy            = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.settings.expire_old_versions_days == null ? true : var.settings.expire_old_versions_days >= 1
    error_message = "expire_old_versions_days must be null or at least 1."
  }
}

variable "tags" {
  description = "Added to the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
