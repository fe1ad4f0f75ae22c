variable "bucket" {
  description = "Bucket with the code, the data and the results: the output bucket of modules/storage."
  type = object({
    name        = string
    policy_json = optional(string)
  })
  nullable = false
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

variable "tags" {
  description = "Added to the role."
  type        = map(string)
  default     = {}
  nullable    = false
}
