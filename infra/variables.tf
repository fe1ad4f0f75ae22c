# The keys of config/<stage>.tfvars.json, which is complete: no defaults here, so that a setting has
# one place. Ranges that belong to one module are checked by that module.

variable "ec2_training" {
  description = "The EC2 instance that trains."
  type = object({
    ami_id        = optional(string)
    ami_line      = string
    at_end        = string
    instance_type = string
    max_hours     = number
    spot          = bool
    volume_gb     = number
  })
  nullable = false
}

variable "endpoint" {
  description = "The SageMaker endpoint that serves the model."
  type = object({
    capture_percent = number
    image           = string
    instance_type   = string
    max_points_lost = number
    mode            = string
    pictures_prefix = optional(string)
    precision       = string
    rollout = object({
      kind         = string
      step_percent = number
      wait_seconds = number
    })
    serverless = object({
      max_concurrency         = number
      memory_mb               = number
      provisioned_concurrency = number
    })
  })
  nullable = false
}

variable "function" {
  description = "The Lambda function that callers talk to."
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
    dead_letters            = bool
    memory_mb               = number
    provisioned_concurrency = number
    reserved_concurrency    = number
    shrink_px               = optional(number)
    timeout_seconds         = number
    traced                  = bool
  })
  nullable = false
}

variable "function_trial" {
  description = "While changed code of the function is tried on a few callers: the version that the others keep, and whether the trial is open; read before an apply."
  type = object({
    old_version = string
    open        = bool
  })
  default = null
}

variable "image_tag" {
  description = "Tag of the endpoint's own image, made of the content of what it is built from; needed when endpoint.image is own."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint.image != "own" || can(regex("^[0-9a-f]{16}$", var.image_tag))
    error_message = "image_tag must be 16 lowercase hex digits when endpoint.image is 'own', as `make image` prints them."
  }
}

variable "live_instances" {
  description = "How many instances the endpoint runs now, read before an apply; a new model starts with as many."
  type        = number
  default     = null
}

variable "max_monthly_usd" {
  description = "What the stage may cost in a month; an AWS budget warns of it. Null is no limit."
  type        = number
  default     = null
}

variable "monitoring" {
  description = "Logs and alarms."
  type = object({
    alarm_email        = optional(string)
    latency_seconds    = number
    log_retention_days = number
  })
  nullable = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.monitoring.log_retention_days)
    error_message = "monitoring.log_retention_days must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180 or 365."
  }
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lowercase letters, digits and hyphens."
  }
}

variable "network" {
  description = "Where things that can live in a VPC live."
  type = object({
    mode       = string
    subnet_ids = list(string)
    vpc_id     = optional(string)
  })
  nullable = false
}

variable "notebook" {
  description = "The SageMaker notebook instance."
  type = object({
    enabled       = bool
    idle_minutes  = number
    instance_type = string
    volume_gb     = number
  })
  nullable = false
}

variable "permissions_boundary_arn" {
  description = "Policy that limits what any role can ever do; null is no limit."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be null or a policy's ARN, like arn:aws:iam::123456789012:policy/kennel-boundary."
  }
}

variable "region" {
  description = "Where the stage lives; the environment must agree."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like us-east-1."
  }
}

variable "release" {
  description = "The three archives that are deployed together, from build/release.tfvars.json; null is none yet, so neither endpoint nor function."
  type = object({
    function = object({ key = string, sha256 = string })
    model    = object({ key = string, sha256 = string })
    training = object({ key = string, sha256 = string })
  })
  default = null

  validation {
    condition = var.release == null ? true : alltrue([
      for archive in [var.release.function, var.release.model, var.release.training] :
      can(regex("^[0-9a-f]{64}$", archive.sha256)) && can(regex("^[a-z]+/${archive.sha256}/[a-z.]+$", archive.key))
    ])
    error_message = "release must give every archive a sha256 of 64 lowercase hex digits and the key <kind>/<sha256>/<file>, as `make package` writes them."
  }
}

variable "scaling" {
  description = "How far and how fast the endpoint follows its traffic."
  type = object({
    concurrent_requests_per_instance    = optional(number)
    invocations_per_instance_per_minute = optional(number)
    max_instances                       = number
    min_instances                       = number
    scale_in                            = bool
    scale_in_cooldown_seconds           = number
    scale_out_cooldown_seconds          = number
    schedules = map(object({
      at            = string
      max_instances = number
      min_instances = number
      time_zone     = string
    }))
  })
  nullable = false
}

variable "stage" {
  description = "local is a laptop, aws an account; used in tags only."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["aws", "local"], var.stage)
    error_message = "stage must be local or aws."
  }
}

variable "storage" {
  description = "The artifact bucket."
  type = object({
    expire_old_versions_days = optional(number)
    expire_runs_days         = optional(number)
    force_destroy            = bool
    kms_key_arn              = optional(string)
  })
  nullable = false
}

variable "tags" {
  description = "Added to every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "training_job" {
  description = "SageMaker training jobs, alone and in a search."
  type = object({
    image          = string
    instance_count = number
    instance_type  = string
    max_hours      = number
    spot           = bool
    volume_gb      = number
  })
  nullable = false
}
