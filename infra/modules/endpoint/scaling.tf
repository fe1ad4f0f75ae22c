locals {
  metric = (
    var.scaling.concurrent_requests_per_instance == null
    ? "SageMakerVariantInvocationsPerInstance"
    : "SageMakerVariantConcurrentRequestsPerModelHighResolution"
  )
}

# Schedules change the limits between two deployments. So the limits are ignored here, and only
# other settings bring a target with other limits.
resource "terraform_data" "limits" {
  count = local.real_time ? 1 : 0

  input = { max = var.scaling.max_instances, min = var.scaling.min_instances }
}

resource "aws_appautoscaling_target" "this" {
  count = local.real_time ? 1 : 0

  max_capacity       = var.scaling.max_instances
  min_capacity       = var.scaling.min_instances
  resource_id        = "endpoint/${aws_sagemaker_endpoint.this.name}/variant/${local.variant}"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  service_namespace  = "sagemaker"

  tags = var.tags

  lifecycle {
    ignore_changes       = [max_capacity, min_capacity]
    replace_triggered_by = [terraform_data.limits]
  }
}

resource "aws_appautoscaling_policy" "traffic" {
  count = local.real_time ? 1 : 0

  name               = "${var.name}-traffic"
  policy_type        = "TargetTrackingScaling"
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace

  target_tracking_scaling_policy_configuration {
    disable_scale_in   = !var.scaling.scale_in
    scale_in_cooldown  = var.scaling.scale_in_cooldown_seconds
    scale_out_cooldown = var.scaling.scale_out_cooldown_seconds
    target_value       = coalesce(var.scaling.invocations_per_instance_per_minute, var.scaling.concurrent_requests_per_instance)

    predefined_metric_specification {
      predefined_metric_type = local.metric
    }
  }

  lifecycle {
    # It goes with its target.
    replace_triggered_by = [terraform_data.limits]
  }
}

resource "aws_appautoscaling_scheduled_action" "this" {
  for_each = local.real_time ? var.scaling.schedules : {}

  name               = "${var.name}-${each.key}"
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  schedule           = each.value.at
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  timezone           = each.value.time_zone

  scalable_target_action {
    max_capacity = each.value.max_instances
    min_capacity = each.value.min_instances
  }

  lifecycle {
    # It goes with its target.
    replace_triggered_by = [terraform_data.limits]
  }

  # Two calls for one target at the same time are refused.
  depends_on = [aws_appautoscaling_policy.traffic]
}
