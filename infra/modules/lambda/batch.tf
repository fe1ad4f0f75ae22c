# Pictures that are put into the bucket: S3 tells a queue, Lambda takes its messages to the function,
# and the answers are objects. What fails comes again, and at last to a queue of its own.

locals {
  # Written out, so that a plan can show the policies.
  bucket_arn              = "arn:${data.aws_partition.this.partition}:s3:::${var.bucket_name}"
  batch_name              = "${var.name}-batch"
  batch_dead_letters_name = "${var.name}-batch-dead-letters"
  batch_arn               = "${local.queues_arn}:${local.batch_name}"
  batch_dead_letters_arn  = "${local.queues_arn}:${local.batch_dead_letters_name}"

  # How often a picture is tried, and the slots that a batch may take from callers.
  batch_receives = 5
  batch_slots    = 2
}

resource "aws_sqs_queue" "batch_dead_letters" {
  count = var.settings.batch == null ? 0 : 1

  message_retention_seconds = 14 * 24 * 3600
  name                      = local.batch_dead_letters_name
  policy                    = data.aws_iam_policy_document.only_with_tls["batch_dead_letters"].json
  sqs_managed_sse_enabled   = true

  tags = var.tags
}

resource "aws_sqs_queue" "batch" {
  count = var.settings.batch == null ? 0 : 1

  message_retention_seconds = 4 * 24 * 3600
  name                      = local.batch_name
  policy                    = data.aws_iam_policy_document.batch.json
  redrive_policy = jsonencode({
    deadLetterTargetArn = local.batch_dead_letters_arn
    maxReceiveCount     = local.batch_receives
  })
  sqs_managed_sse_enabled = true
  # Six times the function's, as AWS advises; it is also the wait before a picture is tried again.
  visibility_timeout_seconds = 6 * var.settings.timeout_seconds

  tags = var.tags

  depends_on = [aws_sqs_queue.batch_dead_letters]
}

data "aws_iam_policy_document" "batch" {
  source_policy_documents = [data.aws_iam_policy_document.only_with_tls["batch"].json]

  # S3 tells of this account's one bucket, and of no other's.
  statement {
    sid       = "TellOfPictures"
    actions   = ["sqs:SendMessage"]
    resources = [local.batch_arn]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.bucket_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

# A bucket has one notification configuration. It is here because nobody else is told of anything.
resource "aws_s3_bucket_notification" "batch" {
  count = var.settings.batch == null ? 0 : 1

  bucket = var.bucket_name

  queue {
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = var.settings.batch.prefix
    id            = "pictures"
    queue_arn     = aws_sqs_queue.batch[0].arn
  }
}

resource "aws_lambda_event_source_mapping" "batch" {
  count = var.settings.batch == null ? 0 : 1

  batch_size              = 5
  event_source_arn        = aws_sqs_queue.batch[0].arn
  function_name           = aws_lambda_alias.live.arn
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = local.batch_slots
  }

  tags = var.tags

  # Lambda looks whether the role may take messages.
  depends_on = [module.role]
}
