resource "aws_appautoscaling_target" "this" {
  max_capacity       = var.scaling.max_instances
  min_capacity       = var.scaling.min_instances
  resource_id        = "endpoint/${aws_sagemaker_endpoint.this.name}/variant/${local.variant}"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  service_namespace  = "sagemaker"

  tags = var.tags
}

resource "aws_appautoscaling_policy" "invocations" {
  name               = "${var.name}-invocations"
  policy_type        = "TargetTrackingScaling"
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  service_namespace  = aws_appautoscaling_target.this.service_namespace

  target_tracking_scaling_policy_configuration {
    scale_in_cooldown  = var.scaling.scale_in_cooldown_seconds
    scale_out_cooldown = var.scaling.scale_out_cooldown_seconds
    target_value       = coalesce(var.scaling.invocations_per_instance_per_minute, var.scaling.concurrent_requests_per_instance)

    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantInvocationsPerInstance"
    }
  }
}
