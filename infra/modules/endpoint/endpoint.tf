locals {
  routing = {
    all-at-once = "ALL_AT_ONCE"
    canary      = "CANARY"
    linear      = "LINEAR"
  }

  # The provider waits an hour for an endpoint; by then SageMaker has finished or gone back.
  rollout_seconds = 3300
}

resource "aws_sagemaker_endpoint" "this" {
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this.name
  name                 = local.endpoint_name

  # A serverless endpoint always changes over at once, and no alarm turns it back.
  dynamic "deployment_config" {
    for_each = local.real_time ? [var.settings.rollout] : []

    content {
      # Always there: the provider replaces an endpoint that gains or loses it.
      auto_rollback_configuration {
        dynamic "alarms" {
          for_each = aws_cloudwatch_metric_alarm.rollback

          content {
            alarm_name = alarms.value.alarm_name
          }
        }
      }

      dynamic "blue_green_update_policy" {
        for_each = deployment_config.value.kind == "rolling" ? [] : [deployment_config.value]

        content {
          maximum_execution_timeout_in_seconds = local.rollout_seconds
          termination_wait_in_seconds          = blue_green_update_policy.value.wait_seconds

          traffic_routing_configuration {
            type                     = local.routing[blue_green_update_policy.value.kind]
            wait_interval_in_seconds = blue_green_update_policy.value.wait_seconds

            dynamic "canary_size" {
              for_each = blue_green_update_policy.value.kind == "canary" ? [blue_green_update_policy.value] : []

              content {
                type  = "CAPACITY_PERCENT"
                value = canary_size.value.step_percent
              }
            }

            dynamic "linear_step_size" {
              for_each = blue_green_update_policy.value.kind == "linear" ? [blue_green_update_policy.value] : []

              content {
                type  = "CAPACITY_PERCENT"
                value = linear_step_size.value.step_percent
              }
            }
          }
        }
      }

      dynamic "rolling_update_policy" {
        for_each = deployment_config.value.kind == "rolling" ? [deployment_config.value] : []

        content {
          maximum_execution_timeout_in_seconds = local.rollout_seconds
          wait_interval_in_seconds             = rolling_update_policy.value.wait_seconds

          maximum_batch_size {
            type  = "CAPACITY_PERCENT"
            value = rolling_update_policy.value.step_percent
          }
        }
      }
    }
  }

  tags = var.tags

  lifecycle {
    create_before_destroy = true

    # SageMaker rolls a failed update back in silence and calls the endpoint healthy again.
    # Without this, the model in use would be deleted next.
    postcondition {
      condition     = self.endpoint_config_name == local.config_name
      error_message = "The endpoint still runs ${self.endpoint_config_name}: ${local.config_name} did not become healthy, or rang an alarm, and SageMaker went back. The log group /aws/sagemaker/Endpoints/${local.endpoint_name} says why; repair the model, or apply an older release."
    }
  }

  depends_on = [aws_cloudwatch_log_group.this]
}
