# An HTTP API in front of the function: the same signed requests and answers as the function URL,
# but what is too much is turned away before it takes one of the reserved slots.

resource "aws_apigatewayv2_api" "this" {
  count = var.settings.api == null ? 0 : 1

  description   = "Callers of ${var.name}, throttled."
  name          = var.name
  protocol_type = "HTTP"

  tags = var.tags
}

resource "aws_apigatewayv2_integration" "this" {
  count = var.settings.api == null ? 0 : 1

  api_id                 = aws_apigatewayv2_api.this[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_alias.live.invoke_arn
  payload_format_version = "2.0"
  # API Gateway never waits longer than 30 s.
  timeout_milliseconds = 1000 * min(var.settings.timeout_seconds, 30)
}

# The one thing that the function serves; API Gateway answers anything else itself, with 404.
resource "aws_apigatewayv2_route" "this" {
  count = var.settings.api == null ? 0 : 1

  api_id             = aws_apigatewayv2_api.this[0].id
  authorization_type = "AWS_IAM"
  route_key          = "POST /"
  target             = "integrations/${aws_apigatewayv2_integration.this[0].id}"
}

resource "aws_cloudwatch_log_group" "api" {
  count = var.settings.api == null ? 0 : 1

  # Below this prefix AWS needs no policy on the log group, whose size is limited.
  name              = "/aws/vendedlogs/apis/${var.name}"
  retention_in_days = var.log_retention_days

  tags = var.tags
}

resource "aws_apigatewayv2_stage" "this" {
  count = var.settings.api == null ? 0 : 1

  api_id      = aws_apigatewayv2_api.this[0].id
  auto_deploy = true
  description = "Every change is live at once."
  name        = "$default"

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api[0].arn
    format = jsonencode({
      caller         = "$context.identity.userArn"
      error          = "$context.error.message"
      function_error = "$context.integration.error"
      latency_ms     = "$context.responseLatency"
      method         = "$context.httpMethod"
      path           = "$context.path"
      request_id     = "$context.requestId"
      route          = "$context.routeKey"
      source_ip      = "$context.identity.sourceIp"
      status         = "$context.status"
      time           = "$context.requestTime"
    })
  }

  default_route_settings {
    throttling_burst_limit = var.settings.api.burst
    throttling_rate_limit  = var.settings.api.requests_per_second
  }

  tags = var.tags

  # A stage that deploys itself needs something to deploy.
  depends_on = [aws_apigatewayv2_route.this]
}
