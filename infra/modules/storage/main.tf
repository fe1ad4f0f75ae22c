data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  # Bucket names are shared by the whole world; account and region make this one ours.
  bucket_name = "${var.name}-${data.aws_caller_identity.this.account_id}-${data.aws_region.this.name}"
}

resource "aws_s3_bucket" "this" {
  bucket        = local.bucket_name
  force_destroy = var.settings.force_destroy

  tags = var.tags
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  block_public_acls       = true
  block_public_policy     = true
  bucket                  = aws_s3_bucket.this.id
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

# Only where it is asked for: the provider waits about a minute for S3 to report a lifecycle.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  count = var.settings.expire_old_versions_days == null ? 0 : 1

  bucket = aws_s3_bucket.this.id

  rule {
    id     = "old-versions"
    status = "Enabled"

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.settings.expire_old_versions_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
