data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

# CloudWatch may ring for this account's alarms, and nobody else may.
data "aws_iam_policy_document" "ring" {
  count = var.alarm_email == null ? 0 : 1

  statement {
    sid     = "RingForThisAccount"
    actions = ["sns:Publish"]
    # Written out, so that a plan can show the policy.
    resources = ["arn:${data.aws_partition.this.partition}:sns:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}:${var.name}-alarms"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.alarm_email == null ? 0 : 1

  arn    = aws_sns_topic.alarms[0].arn
  policy = data.aws_iam_policy_document.ring[0].json
}
