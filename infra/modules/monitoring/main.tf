data "aws_region" "this" {}

locals {
  actions = aws_sns_topic.alarms[*].arn
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
    widgets = [for index, widget in local.widgets : {
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
  endpoint_dimensions = try(["EndpointName", var.serving.endpoint_name, "VariantName", var.serving.variant], [])
  function_dimensions = try(["FunctionName", var.serving.function_name], [])

  widgets = [
    {
      title = "Requests"
      stat  = "Sum"
      metrics = [
        concat(["AWS/Lambda", "Invocations"], local.function_dimensions),
        concat(["AWS/SageMaker", "Invocations"], local.endpoint_dimensions),
      ]
    },
    {
      title = "Refused or failed"
      stat  = "Sum"
      metrics = [
        concat(["AWS/Lambda", "Throttles"], local.function_dimensions),
        concat(["AWS/Lambda", "Errors"], local.function_dimensions),
        concat(["AWS/SageMaker", "Invocation4XXErrors"], local.endpoint_dimensions),
        concat(["AWS/SageMaker", "Invocation5XXErrors"], local.endpoint_dimensions),
      ]
    },
    {
      title   = "Model latency, microseconds"
      stat    = "p95"
      metrics = [concat(["AWS/SageMaker", "ModelLatency"], local.endpoint_dimensions)]
    },
    {
      title   = "Requests per instance"
      stat    = "Sum"
      metrics = [concat(["AWS/SageMaker", "InvocationsPerInstance"], local.endpoint_dimensions)]
    },
  ]
}
