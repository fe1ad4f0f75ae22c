locals {
  # Whom callers get, but for the share of a trial; docs/decisions/0060 tells the whole way.
  served_version = var.trial == null ? aws_lambda_function.this.version : var.trial.old_version
  # Nothing to try when the code is the one that served before.
  tries_new = var.trial == null ? false : var.trial.open && aws_lambda_function.this.version != var.trial.old_version
}

resource "aws_lambda_alias" "live" {
  description      = "What callers invoke."
  function_name    = aws_lambda_function.this.function_name
  function_version = local.served_version
  name             = "live"

  dynamic "routing_config" {
    for_each = local.tries_new ? [var.settings.canary.percent] : []

    content {
      additional_version_weights = { (aws_lambda_function.this.version) = routing_config.value / 100 }
    }
  }

  # The copies of a version are warm before callers get it.
  depends_on = [aws_lambda_provisioned_concurrency_config.live]
}

# Of the version, not of the alias: AWS refuses provisioned concurrency for an alias that shares
# its callers out, and an alias finds the warm copies of its version.
resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = var.settings.provisioned_concurrency == 0 ? 0 : 1

  function_name                     = aws_lambda_function.this.function_name
  provisioned_concurrent_executions = var.settings.provisioned_concurrency
  qualifier                         = local.served_version

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lambda_function_url" "live" {
  authorization_type = "AWS_IAM"
  function_name      = aws_lambda_function.this.function_name
  qualifier          = aws_lambda_alias.live.name
}
