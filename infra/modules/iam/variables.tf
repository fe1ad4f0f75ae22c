variable "description" {
  description = "What the role is for, in one sentence."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the role."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 letters, digits or any of +=,.@_-."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that limits what the role can ever do; null is no limit."
  type        = string
  default     = null
}

variable "policies" {
  description = "Inline policy documents (JSON), by name."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "service" {
  description = "The one service that may take the role, for example lambda.amazonaws.com."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9.-]+\\.amazonaws\\.com(\\.cn)?$", var.service))
    error_message = "service must be one service principal, like lambda.amazonaws.com."
  }
}

variable "source_arns" {
  description = "Patterns of the resources on whose behalf the service may take the role; empty when the service does not say."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = var.service != "ec2.amazonaws.com" || length(var.source_arns) == 0
    error_message = "source_arns must be empty for ec2.amazonaws.com: EC2 does not send aws:SourceArn, so nothing could take the role."
  }
}

variable "tags" {
  description = "Added to the role."
  type        = map(string)
  default     = {}
  nullable    = false
}
