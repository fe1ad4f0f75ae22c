variable "alarm_email" {
  description = "Who hears of alarms; null is nobody."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alarm_email))
    error_message = "monitoring.alarm_email must be null or an e-mail address."
  }
}

variable "endpoint" {
  description = "The endpoint to watch; null is none."
  type = object({
    name    = string
    variant = string
  })
  default = null
}

variable "function" {
  description = "The function to watch; null is none."
  type = object({
    name                 = string
    reserved_concurrency = number
    timeout_seconds      = number
  })
  default = null
}

variable "latency_seconds" {
  description = "A model that takes longer than this, on average, rings."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.latency_seconds > 0
    error_message = "monitoring.latency_seconds must be above 0."
  }
}

variable "max_monthly_usd" {
  description = "What may be spent in a month before somebody is told; null is no limit."
  type        = number
  default     = null

  validation {
    condition     = var.max_monthly_usd == null ? true : var.max_monthly_usd > 0
    error_message = "max_monthly_usd must be null or above 0."
  }
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Added to every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "training" {
  description = "The kept training instance to watch; null is none."
  type = object({
    instance_id = string
    max_hours   = number
  })
  default = null
}
