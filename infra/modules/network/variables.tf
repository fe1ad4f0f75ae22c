variable "cidr_block" {
  description = "Addresses of an own VPC; at least 2048 of them."
  type        = string
  default     = "10.64.0.0/20"
  nullable    = false

  validation {
    condition     = can(cidrsubnet(var.cidr_block, 4, 1)) && tonumber(split("/", var.cidr_block)[1]) <= 21
    error_message = "cidr_block must be an IPv4 block of /21 or larger, like 10.64.0.0/20."
  }
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "services" {
  description = "AWS services that the members of an own VPC call. Each is a door, paid by the hour in each of two zones."
  type        = set(string)
  default     = ["logs", "sagemaker.api", "sagemaker.runtime", "ssm", "ssmmessages", "sts"]
  nullable    = false
}

variable "settings" {
  description = "none: AWS's default; existing: vpc_id and subnet_ids; own: a new private VPC."
  type = object({
    mode       = optional(string, "none")
    subnet_ids = optional(list(string), [])
    vpc_id     = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["existing", "none", "own"], var.settings.mode)
    error_message = "network.mode must be none, existing or own."
  }

  validation {
    condition = (
      var.settings.mode == "existing"
      ? var.settings.vpc_id != null && length(var.settings.subnet_ids) > 0
      : var.settings.vpc_id == null && length(var.settings.subnet_ids) == 0
    )
    error_message = "network.vpc_id and network.subnet_ids must be given when mode is 'existing', and only then."
  }
}

variable "tags" {
  description = "Added to every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
