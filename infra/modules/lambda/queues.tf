# What is the same for every queue of the function.

locals {
  queues_arn = "arn:${data.aws_partition.this.partition}:sqs:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
}

# Nobody reads or writes a queue without TLS, whatever else they may do.
data "aws_iam_policy_document" "only_with_tls" {
  for_each = {
    batch              = local.batch_arn
    batch_dead_letters = local.batch_dead_letters_arn
    dead_letters       = local.dead_letters_arn
  }

  statement {
    sid       = "OnlyWithTls"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}
