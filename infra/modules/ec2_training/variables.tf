variable "bucket" {
  description = "Bucket with the code, the data and the runs: the output bucket of modules/storage."
  type = object({
    name        = string
    policy_json = optional(string)
  })
  nullable = false
}

variable "log_retention_days" {
  description = "How long training logs are kept."
  type        = number
  default     = 14
  nullable    = false
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

variable "settings" {
  description = "The machine that trains, and when it must stop."
  type = object({
    ami_id        = optional(string)
    ami_line      = optional(string, "2.12-ubuntu-24.04")
    at_end        = optional(string, "stop")
    instance_type = optional(string, "t3.large")
    max_hours     = optional(number, 4)
    spot          = optional(bool, false)
    volume_gb     = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.settings.ami_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.settings.ami_id))
    error_message = "ec2_training.ami_id must be null or look like ami-0a1b2c3d4e5f60718."
  }

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+-[a-z0-9.-]+$", var.settings.ami_line))
    error_message = "ec2_training.ami_line must be a PyTorch version and a system, like 2.12-ubuntu-24.04."
  }

  validation {
    condition     = contains(["stop", "terminate"], var.settings.at_end)
    error_message = "ec2_training.at_end must be stop or terminate."
  }

  validation {
    condition     = var.settings.at_end == "terminate" || !var.settings.spot
    error_message = "ec2_training.at_end must be 'terminate' when spot is true: spot capacity cannot be kept."
  }

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.settings.instance_type)) && !startswith(var.settings.instance_type, "ml.")
    error_message = "ec2_training.instance_type must be an EC2 type like t3.large or g5.xlarge, without ml."
  }

  validation {
    condition     = var.settings.max_hours >= 1 && var.settings.max_hours <= 168 && floor(var.settings.max_hours) == var.settings.max_hours
    error_message = "ec2_training.max_hours must be a whole number from 1 to 168."
  }

  validation {
    condition     = var.settings.volume_gb >= 30 && var.settings.volume_gb <= 16384
    error_message = "ec2_training.volume_gb must be 30 to 16384."
  }
}

variable "tags" {
  description = "Added to every resource, and to what is launched from the template."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "vpc" {
  description = "The output vpc of modules/network; null is the account's default VPC."
  type = object({
    security_group_ids = list(string)
    subnet_ids         = list(string)
  })
  default = null
}
