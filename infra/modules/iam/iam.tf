data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  # EC2 hands out role credentials without saying on whose behalf, so these conditions would
  # refuse every instance. There the account's own instance profile is the border.
  names_its_source = var.service != "ec2.amazonaws.com"
}

# Who may take this role: one service, and only when it acts for this account (and, where
# given, for these resources). Otherwise the service could be talked into using it for others.
data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "OneService"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = [var.service]
    }

    dynamic "condition" {
      for_each = local.names_its_source ? ["this"] : []

      content {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [data.aws_caller_identity.this.account_id]
      }
    }

    dynamic "condition" {
      for_each = length(var.source_arns) > 0 ? ["this"] : []

      content {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = var.source_arns
      }
    }
  }
}
