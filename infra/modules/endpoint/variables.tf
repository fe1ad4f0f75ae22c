variable "bucket" {
  description = "Bucket with the models: the output bucket of modules/storage."
  type = object({
    name        = string
    policy_json = optional(string)
  })
  nullable = false
}

variable "latency_seconds" {
  description = "A new model that takes longer than this, on average over a minute, is turned back."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.latency_seconds > 0
    error_message = "latency_seconds must be above 0."
  }
}

variable "live_instances" {
  description = "How many instances run now; a new model starts with as many. Null is scaling.min_instances."
  type        = number
  default     = null

  validation {
    condition     = var.live_instances == null ? true : var.live_instances >= 1
    error_message = "live_instances must be null or at least 1."
  }
}

variable "log_retention_days" {
  description = "How long its log is kept."
  type        = number
  default     = 14
  nullable    = false
}

variable "model" {
  description = "model.tar.gz in the bucket."
  type = object({
    key    = string
    sha256 = string
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.model.sha256))
    error_message = "model.sha256 must be 64 lowercase hex digits, as printed by \"make package\"."
  }
}

variable "name" {
  description = "Name of the endpoint, of a serverless one with `-serverless`, and prefix of its models."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "Policy that limits what the role can ever do; null is no limit."
  type        = string
  default     = null
}

variable "scaling" {
  description = "How far and how fast the endpoint follows its traffic."
  type = object({
    concurrent_requests_per_instance    = optional(number)
    invocations_per_instance_per_minute = optional(number)
    max_instances                       = optional(number, 5)
    min_instances                       = optional(number, 1)
    scale_in                            = optional(bool, true)
    scale_in_cooldown_seconds           = optional(number, 30)
    scale_out_cooldown_seconds          = optional(number, 30)
    schedules = optional(map(object({
      at            = string
      max_instances = number
      min_instances = number
      time_zone     = optional(string, "UTC")
    })), {})
  })
  default  = { invocations_per_instance_per_minute = 600 }
  nullable = false

  validation {
    condition     = (var.scaling.concurrent_requests_per_instance == null) != (var.scaling.invocations_per_instance_per_minute == null)
    error_message = "scaling needs either concurrent_requests_per_instance or invocations_per_instance_per_minute; the other is null."
  }

  validation {
    condition     = alltrue([for target in [var.scaling.concurrent_requests_per_instance, var.scaling.invocations_per_instance_per_minute] : target == null ? true : target > 0])
    error_message = "scaling.concurrent_requests_per_instance or invocations_per_instance_per_minute must be above 0."
  }

  validation {
    condition     = var.scaling.min_instances >= 1
    error_message = "scaling.min_instances must be at least 1."
  }

  validation {
    condition     = var.scaling.min_instances <= var.scaling.max_instances
    error_message = "scaling.min_instances must not exceed scaling.max_instances."
  }

  validation {
    condition     = var.scaling.scale_in_cooldown_seconds >= 0 && var.scaling.scale_out_cooldown_seconds >= 0
    error_message = "scaling cooldowns must not be negative."
  }

  validation {
    condition     = alltrue([for name in keys(var.scaling.schedules) : can(regex("^[a-z][a-z0-9-]{0,31}$", name))])
    error_message = "scaling.schedules must be named by up to 32 lowercase letters, digits and hyphens."
  }

  validation {
    condition = alltrue([for schedule in values(var.scaling.schedules) : anytrue([
      can(regex("^cron\\(\\S+( \\S+){5}\\)$", schedule.at)),
      can(regex("^rate\\([1-9][0-9]* (minute|hour|day)s?\\)$", schedule.at)),
      can(regex("^at\\([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\)$", schedule.at)),
    ])])
    error_message = "scaling.schedules: at must look like cron(0 8 ? * MON-FRI *), which are minute, hour, day, month, weekday and year, or rate(2 hours), or at(2027-01-31T08:00:00)."
  }

  validation {
    condition     = alltrue([for schedule in values(var.scaling.schedules) : schedule.min_instances >= 1 && schedule.min_instances <= schedule.max_instances])
    error_message = "scaling.schedules: min_instances must be at least 1 and must not exceed max_instances."
  }
}

variable "settings" {
  description = "What runs the model."
  type = object({
    capture_percent = optional(number, 0)
    image           = optional(string, "ray:serve-ml-sagemaker-cpu-v1.4")
    instance_type   = optional(string, "ml.c7i.large")
    max_points_lost = optional(number, 0.5)
    mode            = optional(string, "real-time")
    pictures_prefix = optional(string)
    precision       = optional(string, "auto")
    rollout = optional(object({
      kind         = optional(string, "all-at-once")
      step_percent = optional(number, 20)
      wait_seconds = optional(number, 120)
    }), {})
    serverless = optional(object({
      max_concurrency         = optional(number, 5)
      memory_mb               = optional(number, 3072)
      provisioned_concurrency = optional(number, 0)
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.settings.capture_percent >= 0 && var.settings.capture_percent <= 100
    error_message = "endpoint.capture_percent must be 0 to 100."
  }

  # Packaging reads it; here it is checked, so that a stage is wrong in one way only.
  validation {
    condition     = var.settings.max_points_lost >= 0 && var.settings.max_points_lost <= 100
    error_message = "endpoint.max_points_lost must be 0 to 100."
  }

  validation {
    condition     = contains(["auto", "fp32", "bf16", "int8"], var.settings.precision)
    error_message = "endpoint.precision must be auto, fp32, bf16 or int8."
  }

  validation {
    condition     = contains(["real-time", "serverless"], var.settings.mode)
    error_message = "endpoint.mode must be real-time, serverless or off."
  }

  validation {
    condition     = contains(["all-at-once", "canary", "linear", "rolling"], var.settings.rollout.kind)
    error_message = "endpoint.rollout.kind must be all-at-once, canary, linear or rolling."
  }

  validation {
    condition     = var.settings.rollout.step_percent >= 5 && var.settings.rollout.step_percent <= 50
    error_message = "endpoint.rollout.step_percent must be 5 to 50."
  }

  # By AWS: serverless endpoints have neither, and a linear step is at least a tenth.
  validation {
    condition     = var.settings.mode != "serverless" || var.settings.capture_percent == 0
    error_message = "endpoint.capture_percent must be 0 when mode is serverless: AWS captures nothing there."
  }

  validation {
    condition     = var.settings.mode != "serverless" || var.settings.rollout.kind == "all-at-once"
    error_message = "endpoint.rollout.kind must be all-at-once when mode is serverless: AWS changes such an endpoint over at once."
  }

  validation {
    condition     = var.settings.rollout.kind != "linear" || var.settings.rollout.step_percent >= 10
    error_message = "endpoint.rollout.step_percent must be 10 to 50 when kind is linear."
  }

  validation {
    condition = var.settings.rollout.wait_seconds > 3600 || var.settings.rollout.step_percent < 5 ? true : 2700 >= var.settings.rollout.wait_seconds * lookup({
      all-at-once = 1
      canary      = 2
      linear      = ceil(100 / var.settings.rollout.step_percent) + 1
      rolling     = ceil(100 / var.settings.rollout.step_percent)
    }, var.settings.rollout.kind, 0)
    error_message = "endpoint.rollout waits too long: all waits of wait_seconds together (all at once 1, canary 2, rolling one for each batch, linear one for each step and 1) must fit into 2700 seconds, because Terraform gives an endpoint an hour."
  }

  validation {
    condition     = var.settings.rollout.wait_seconds >= 0 && var.settings.rollout.wait_seconds <= 3600
    error_message = "endpoint.rollout.wait_seconds must be 0 to 3600."
  }

  validation {
    condition     = var.settings.serverless.max_concurrency >= 1 && var.settings.serverless.max_concurrency <= 200
    error_message = "endpoint.serverless.max_concurrency must be 1 to 200."
  }

  validation {
    condition     = contains([1024, 2048, 3072, 4096, 5120, 6144], var.settings.serverless.memory_mb)
    error_message = "endpoint.serverless.memory_mb must be 1024, 2048, 3072, 4096, 5120 or 6144."
  }

  validation {
    condition     = var.settings.serverless.provisioned_concurrency >= 0 && var.settings.serverless.provisioned_concurrency <= var.settings.serverless.max_concurrency
    error_message = "endpoint.serverless.provisioned_concurrency must be 0 to max_concurrency."
  }

  validation {
    condition     = can(regex("^([0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[a-z.]+/)?[a-z0-9._/-]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$", var.settings.image))
    error_message = "endpoint.image must be repository:tag of AWS's prebuilt images, or the full ECR address of your own."
  }

  validation {
    condition     = startswith(var.settings.instance_type, "ml.")
    error_message = "endpoint.instance_type must start with 'ml.'."
  }

  validation {
    condition     = var.settings.pictures_prefix == null || can(regex("^([A-Za-z0-9_.-]+/)+$", var.settings.pictures_prefix))
    error_message = "endpoint.pictures_prefix must be null or end with a slash, like 'pictures/'."
  }
}

variable "tags" {
  description = "Added to every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "vpc" {
  description = "The output vpc of modules/network; null is AWS's default network."
  type = object({
    policy_json        = string
    security_group_ids = list(string)
    subnet_ids         = list(string)
  })
  default = null

  validation {
    condition     = var.vpc == null || var.settings.mode != "serverless"
    error_message = "network.mode must be none when endpoint.mode is serverless: AWS runs such an endpoint outside of any VPC."
  }
}
