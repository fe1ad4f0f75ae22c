# Where an asynchronous call goes when it failed for good. Without the queue Lambda drops it.

locals {
  # Written out, so that a plan can show the policies.
  dead_letters_name = "${var.name}-dead-letters"
  dead_letters_arn  = "${local.queues_arn}:${local.dead_letters_name}"
}

resource "aws_sqs_queue" "dead_letters" {
  count = var.settings.dead_letters ? 1 : 0

  message_retention_seconds = 14 * 24 * 3600
  name                      = local.dead_letters_name
  # In the queue's own argument: a policy of its own is waited for another half minute.
  policy                  = data.aws_iam_policy_document.only_with_tls["dead_letters"].json
  sqs_managed_sse_enabled = true

  tags = var.tags
}

resource "aws_lambda_function_event_invoke_config" "live" {
  count = var.settings.dead_letters ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  maximum_event_age_in_seconds = 3600
  maximum_retry_attempts       = 2
  qualifier                    = aws_lambda_alias.live.name
}
