variable "bucket" {
  description = "Bucket with what is built, below image/: the output bucket of modules/storage."
  type = object({
    name        = string
    policy_json = optional(string)
  })
  nullable = false
}

variable "kept_images" {
  description = "How many of the newest images stay."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.kept_images >= 2
    error_message = "kept_images must be at least 2: while a new model takes over, two images serve."
  }
}

variable "log_retention_days" {
  description = "How long logs of builds are kept."
  type        = number
  default     = 14
  nullable    = false
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "Policy that limits what the role can ever do; null is no limit."
  type        = string
  default     = null
}

variable "tags" {
  description = "Added to every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
