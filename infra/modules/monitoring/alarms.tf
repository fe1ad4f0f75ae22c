locals {
  endpoint_alarms = local.endpoint == null ? {} : {
    endpoint-5xx = {
      description = "The endpoint failed requests; its log says why."
      dimensions  = { EndpointName = local.endpoint.name, VariantName = local.endpoint.variant }
      metric      = "Invocation5XXErrors"
      namespace   = "AWS/SageMaker"
      periods     = 1
      statistic   = "Sum"
      threshold   = 0
    }
    endpoint-latency = {
      description = "The model takes long to answer, on average over 5 minutes."
      dimensions  = { EndpointName = local.endpoint.name, VariantName = local.endpoint.variant }
      metric      = "ModelLatency"
      namespace   = "AWS/SageMaker"
      periods     = 5
      statistic   = "Average"
      threshold   = var.latency_seconds * 1000000
    }
  }
  function_alarms = var.serving == null ? {} : {
    function-errors = {
      description = "The function itself failed; its log says why."
      dimensions  = { FunctionName = var.serving.function_name }
      metric      = "Errors"
      namespace   = "AWS/Lambda"
      periods     = 1
      statistic   = "Sum"
      threshold   = 0
    }
    function-throttles = {
      description = "Callers were refused for 3 minutes running: function.reserved_concurrency is reached."
      dimensions  = { FunctionName = var.serving.function_name }
      metric      = "Throttles"
      namespace   = "AWS/Lambda"
      periods     = 3
      statistic   = "Sum"
      threshold   = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "serving" {
  for_each = merge(local.endpoint_alarms, local.function_alarms)

  alarm_actions       = local.actions
  alarm_description   = each.value.description
  alarm_name          = "${var.name}-${each.key}"
  comparison_operator = "GreaterThanThreshold"
  dimensions          = each.value.dimensions
  evaluation_periods  = each.value.periods
  metric_name         = each.value.metric
  namespace           = each.value.namespace
  ok_actions          = local.actions
  period              = 60
  statistic           = each.value.statistic
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"

  tags = var.tags
}

# The instance switches itself off; this one rings when that did not happen. A machine reports
# its CPU only while it runs, so hours with a report are hours that are paid for.
resource "aws_cloudwatch_metric_alarm" "training" {
  for_each = var.training == null ? {} : { too-long = var.training }

  alarm_actions       = local.actions
  alarm_description   = "The training instance has been running for longer than max_hours. Stop it."
  alarm_name          = "${var.name}-training-${each.key}"
  comparison_operator = "GreaterThanThreshold"
  dimensions          = { InstanceId = each.value.instance_id }
  # CloudWatch looks back at most 7 days, which is 168 hours.
  evaluation_periods = min(each.value.max_hours + 1, 168)
  metric_name        = "CPUUtilization"
  namespace          = "AWS/EC2"
  period             = 3600
  statistic          = "SampleCount"
  threshold          = 0
  treat_missing_data = "notBreaching"

  tags = var.tags
}
