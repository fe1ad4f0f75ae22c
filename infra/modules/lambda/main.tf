locals {
  # AWS reports the digest of deployed code in base64, so the release's hex digits are written
  # that way too: three hex digits are twelve bits are two characters.
  alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  padded   = "${var.archive.sha256}00"
  twelve_bits = [
    for i in range(22) : parseint(substr(local.padded, 3 * i, 3), 16)
  ]
  characters = flatten([
    for n in local.twelve_bits : [substr(local.alphabet, floor(n / 64), 1), substr(local.alphabet, n % 64, 1)]
  ])
  sha256_base64 = "${substr(join("", local.characters), 0, 43)}="
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days

  tags = var.tags
}

resource "aws_lambda_function" "this" {
  architectures                  = ["arm64"]
  description                    = "Answers callers: checks the picture and asks the endpoint."
  function_name                  = var.name
  handler                        = "handler.handle"
  memory_size                    = var.settings.memory_mb
  publish                        = true
  reserved_concurrent_executions = var.settings.reserved_concurrency
  role                           = module.role.arn
  runtime                        = "python3.13"
  s3_bucket                      = var.bucket_name
  s3_key                         = var.archive.key
  source_code_hash               = local.sha256_base64
  timeout                        = var.settings.timeout_seconds

  environment {
    variables = merge(
      {
        DNS_SUFFIX    = data.aws_partition.this.dns_suffix
        ENDPOINT_NAME = var.endpoint.name
        # The rest is kept to check the picture, to connect, and to tell the caller that the
        # endpoint was too slow.
        ENDPOINT_TIMEOUT_SECONDS = tostring(var.settings.timeout_seconds - 4)
      },
      var.settings.batch == null ? {} : {
        BATCH_BUCKET         = var.bucket_name
        BATCH_PREFIX         = var.settings.batch.prefix
        BATCH_RESULTS_PREFIX = var.settings.batch.results_prefix
      },
      var.settings.shrink_px == null ? {} : { SHRINK_PX = tostring(var.settings.shrink_px) },
    )
  }

  dynamic "dead_letter_config" {
    for_each = aws_sqs_queue.dead_letters

    content {
      target_arn = dead_letter_config.value.arn
    }
  }

  tracing_config {
    mode = var.settings.traced ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]

    content {
      security_group_ids = vpc_config.value.security_group_ids
      subnet_ids         = vpc_config.value.subnet_ids
    }
  }

  tags = var.tags

  depends_on = [aws_cloudwatch_log_group.this]
}
