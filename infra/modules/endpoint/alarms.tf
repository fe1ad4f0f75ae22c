# What turns a rollout back. They see the new fleet alone: an old one that fails would otherwise
# undo the very deployment that repairs it.
resource "aws_cloudwatch_metric_alarm" "rollback" {
  for_each = local.real_time ? {
    "5xx" = {
      description = "The new model failed a request."
      metric      = "Invocation5XXErrors"
      statistic   = "Sum"
      threshold   = 0
    }
    latency = {
      description = "The new model takes long to answer, on average over a minute."
      metric      = "ModelLatency"
      statistic   = "Average"
      threshold   = var.latency_seconds * 1000000
    }
  } : {}

  alarm_description   = each.value.description
  alarm_name          = "${var.name}-rollback-${each.key}"
  comparison_operator = "GreaterThanThreshold"
  dimensions = {
    EndpointConfigName = local.config_name
    EndpointName       = local.endpoint_name
    VariantName        = local.variant
  }
  evaluation_periods = 1
  metric_name        = each.value.metric
  namespace          = "AWS/SageMaker"
  period             = 60
  statistic          = each.value.statistic
  threshold          = each.value.threshold
  treat_missing_data = "notBreaching"

  tags = var.tags
}
