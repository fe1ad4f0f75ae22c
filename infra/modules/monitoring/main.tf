data "aws_region" "this" {}

locals {
  actions = aws_sns_topic.alarms[*].arn
}

# Not encrypted with a key: CloudWatch cannot use AWS's own, one of ours costs a dollar a month, and
# a message holds an alarm's name and nothing of a caller.
resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26: see above

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
  count = var.endpoint == null && var.function == null ? 0 : 1

  dashboard_body = jsonencode({
    widgets = [for index, widget in concat(local.function_widgets, local.endpoint_widgets) : {
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
  of_endpoint = try(["EndpointName", var.endpoint.name, "VariantName", var.endpoint.variant], [])
  of_function = try(["FunctionName", var.function.name], [])

  function_widgets = var.function == null ? [] : [
    {
      title   = "Function: requests, refused, failed"
      stat    = "Sum"
      metrics = [for name in ["Invocations", "Throttles", "Errors"] : concat(["AWS/Lambda", name], local.of_function)]
    },
    {
      title   = "Function: milliseconds"
      stat    = "p95"
      metrics = [concat(["AWS/Lambda", "Duration"], local.of_function)]
    },
    {
      title   = "Function: in flight at once"
      stat    = "Maximum"
      metrics = [concat(["AWS/Lambda", "ConcurrentExecutions"], local.of_function)]
    },
  ]

  endpoint_widgets = var.endpoint == null ? [] : [
    {
      title   = "Endpoint: requests, 4xx, 5xx"
      stat    = "Sum"
      metrics = [for name in ["Invocations", "Invocation4XXErrors", "Invocation5XXErrors"] : concat(["AWS/SageMaker", name], local.of_endpoint)]
    },
    {
      title   = "Endpoint: model latency, microseconds"
      stat    = "p95"
      metrics = [concat(["AWS/SageMaker", "ModelLatency"], local.of_endpoint)]
    },
    {
      title   = "Endpoint: requests per instance"
      stat    = "Sum"
      metrics = [concat(["AWS/SageMaker", "InvocationsPerInstance"], local.of_endpoint)]
    },
  ]
}
