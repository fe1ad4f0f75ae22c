locals {
  endpoint_dimensions = try({ EndpointName = var.endpoint.name, VariantName = var.endpoint.variant }, {})
  function_dimensions = try({ FunctionName = var.function.name }, {})

  endpoint_alarms = var.endpoint == null ? {} : {
    endpoint-4xx = {
      description = "The endpoint called what the function sent it wrong, for 5 minutes running; its log says why."
      metric      = "Invocation4XXErrors"
      periods     = 5
      statistic   = "Sum"
      threshold   = 0
    }
    endpoint-5xx = {
      description = "The endpoint failed requests; its log says why."
      metric      = "Invocation5XXErrors"
      periods     = 1
      statistic   = "Sum"
      threshold   = 0
    }
    endpoint-latency = {
      description = "The model takes long to answer, on average over 5 minutes."
      metric      = "ModelLatency"
      periods     = 5
      statistic   = "Average"
      threshold   = var.latency_seconds * 1000000
    }
  }

  function_alarms = var.function == null ? {} : {
    function-concurrency = {
      description = "Nearly as many requests are in flight as function.reserved_concurrency allows; further ones are refused."
      metric      = "ConcurrentExecutions"
      periods     = 5
      statistic   = "Maximum"
      threshold   = ceil(var.function.reserved_concurrency * 0.8) - 1
    }
    function-duration = {
      description = "Requests take nearly as long as function.timeout_seconds, when they are given up."
      metric      = "Duration"
      periods     = 1
      statistic   = "Maximum"
      threshold   = var.function.timeout_seconds * 800
    }
    function-errors = {
      description = "The function itself failed; its log says why."
      metric      = "Errors"
      periods     = 1
      statistic   = "Sum"
      threshold   = 0
    }
    function-throttles = {
      description = "Callers were refused for 3 minutes running: function.reserved_concurrency is reached."
      metric      = "Throttles"
      periods     = 3
      statistic   = "Sum"
      threshold   = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "endpoint" {
  for_each = local.endpoint_alarms

  alarm_actions       = local.actions
  alarm_description   = each.value.description
  alarm_name          = "${var.name}-${each.key}"
  comparison_operator = "GreaterThanThreshold"
  dimensions          = local.endpoint_dimensions
  evaluation_periods  = each.value.periods
  metric_name         = each.value.metric
  namespace           = "AWS/SageMaker"
  ok_actions          = local.actions
  period              = 60
  statistic           = each.value.statistic
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"

  tags = var.tags
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.function_alarms

  alarm_actions       = local.actions
  alarm_description   = each.value.description
  alarm_name          = "${var.name}-${each.key}"
  comparison_operator = "GreaterThanThreshold"
  dimensions          = local.function_dimensions
  evaluation_periods  = each.value.periods
  metric_name         = each.value.metric
  namespace           = "AWS/Lambda"
  ok_actions          = local.actions
  period              = 60
  statistic           = each.value.statistic
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"

  tags = var.tags
}

# Requests reach the function, and the endpoint answers none of them: nothing else rings when no
# instance is healthy, because then the endpoint reports no errors either.
resource "aws_cloudwatch_metric_alarm" "unanswered" {
  for_each = var.endpoint == null || var.function == null ? {} : { no-healthy-traffic = var.endpoint }

  alarm_actions       = local.actions
  alarm_description   = "Callers ask the function, and the endpoint has answered none of them for 5 minutes."
  alarm_name          = "${var.name}-${each.key}"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 5
  ok_actions          = local.actions
  threshold           = 0
  treat_missing_data  = "notBreaching"

  metric_query {
    expression  = "IF(FILL(answered, 0) - FILL(failed, 0) > 0, 0, asked)"
    id          = "unanswered"
    label       = "Requests without an answer of the endpoint"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = {
      answered = { dimensions = local.endpoint_dimensions, name = "Invocations", namespace = "AWS/SageMaker" }
      asked    = { dimensions = local.function_dimensions, name = "Invocations", namespace = "AWS/Lambda" }
      failed   = { dimensions = local.endpoint_dimensions, name = "Invocation5XXErrors", namespace = "AWS/SageMaker" }
    }

    content {
      id = metric_query.key

      metric {
        dimensions  = metric_query.value.dimensions
        metric_name = metric_query.value.name
        namespace   = metric_query.value.namespace
        period      = 60
        stat        = "Sum"
      }
    }
  }

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
