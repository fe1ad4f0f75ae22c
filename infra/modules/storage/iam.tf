data "aws_partition" "this" {}

locals {
  # Written out, so that a plan can show the policies.
  bucket_arn = "arn:${data.aws_partition.this.partition}:s3:::${local.bucket_name}"
  key_arns   = var.settings.kms_key_arn == null ? [] : [var.settings.kms_key_arn]
}

# What holds for everybody, an administrator too. Encryption needs no rule: S3 encrypts by itself.
data "aws_iam_policy_document" "bucket" {
  # No artifact goes in or out in the clear.
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket_arn, "${local.bucket_arn}/*"]

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

# What a role needs besides its permissions in the bucket: the key, but only through S3.
data "aws_iam_policy_document" "key" {
  count = length(local.key_arns)

  statement {
    sid       = "UseTheBucketsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.key_arns[count.index]]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${data.aws_region.this.name}.${data.aws_partition.this.dns_suffix}"]
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = data.aws_iam_policy_document.bucket.json

  # S3 refuses two changes of a bucket's access at the same time.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
