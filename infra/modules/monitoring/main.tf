data "aws_region" "this" {}

locals {
  actions = aws_sns_topic.alarms[*].arn
  # Null while it is switched off: no alarms then, and nothing of it on the dashboard.
  endpoint = try(var.serving.endpoint_name, null) == null ? null : { name = var.serving.endpoint_name, variant = var.serving.variant }
}

resource "aws_sns_topic" "alarms" {
  count = var.alarm_email == null ? 0 : 1

  name = "${var.name}-alarms"

  tags = var.tags
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alarm_email == null ? 0 : 1

  endpoint  = var.alarm_email
  protocol  = "email"
  topic_arn = aws_sns_topic.alarms[0].arn
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.serving == null ? 0 : 1

  dashboard_body = jsonencode({
    widgets = [for index, widget in [for widget in local.widgets : widget if length(widget.metrics) > 0] : {
      type   = "metric"
      height = 6
      width  = 12
      x      = 12 * (index % 2)
      y      = 6 * floor(index / 2)
      properties = {
        metrics = widget.metrics
        period  = 60
        region  = data.aws_region.this.name
        stat    = widget.stat
        title   = widget.title
        view    = "timeSeries"
      }
    }]
  })
  dashboard_name = var.name
}

locals {
  function_dimensions = try(["FunctionName", var.serving.function_name], [])

  endpoint_metrics = {
    for metric in ["Invocation4XXErrors", "Invocation5XXErrors", "Invocations", "InvocationsPerInstance", "ModelLatency"] :
    metric => local.endpoint == null ? [] : [["AWS/SageMaker", metric, "EndpointName", local.endpoint.name, "VariantName", local.endpoint.variant]]
  }

  widgets = [
    {
      title   = "Requests"
      stat    = "Sum"
      metrics = concat([concat(["AWS/Lambda", "Invocations"], local.function_dimensions)], local.endpoint_metrics.Invocations)
    },
    {
      title = "Refused or failed"
      stat  = "Sum"
      metrics = concat(
        [
          concat(["AWS/Lambda", "Throttles"], local.function_dimensions),
          concat(["AWS/Lambda", "Errors"], local.function_dimensions),
        ],
        local.endpoint_metrics.Invocation4XXErrors,
        local.endpoint_metrics.Invocation5XXErrors,
      )
    },
    {
      title   = "Model latency, microseconds"
      stat    = "p95"
      metrics = local.endpoint_metrics.ModelLatency
    },
    {
      title   = "Requests per instance"
      stat    = "Sum"
      metrics = local.endpoint_metrics.InvocationsPerInstance
    },
  ]
}
