variable "alarm_email" {
  description = "Who hears of alarms; null is nobody."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alarm_email))
    error_message = "monitoring.alarm_email must be null or an e-mail address."
  }
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

variable "serving" {
  description = "The endpoint and the function to watch; null is none yet. An endpoint that is switched off has no name."
  type = object({
    endpoint_name = optional(string)
    function_name = string
    variant       = optional(string)
  })
  default = null
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
