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
    # Of a key of yours, one call for many objects instead of one for each.
    bucket_key_enabled = var.settings.kms_key_arn != null

    apply_server_side_encryption_by_default {
      kms_master_key_id = var.settings.kms_key_arn
      sse_algorithm     = var.settings.kms_key_arn == null ? "AES256" : "aws:kms"
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

locals {
  # What runs, jobs and data capture leave behind. Releases and data sets stay: they are few, and
  # `make rollback` goes back to any of them.
  passing_prefixes = var.settings.expire_runs_days == null ? [] : ["capture/", "jobs/", "runs/"]
  keeps_all        = var.settings.expire_old_versions_days == null && var.settings.expire_runs_days == null
}

# Only where it is asked for: the provider waits about a minute for S3 to report a lifecycle.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  count = local.keeps_all ? 0 : 1

  bucket = aws_s3_bucket.this.id

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }

    filter {}
  }

  dynamic "rule" {
    for_each = local.passing_prefixes

    content {
      id     = trimsuffix(rule.value, "/")
      status = "Enabled"

      expiration {
        days = var.settings.expire_runs_days
      }

      filter {
        prefix = rule.value
      }
    }
  }

  dynamic "rule" {
    for_each = var.settings.expire_old_versions_days == null ? [] : [var.settings.expire_old_versions_days]

    content {
      id     = "old-versions"
      status = "Enabled"

      expiration {
        # The mark of a deleted object, once no version of it is left.
        expired_object_delete_marker = true
      }

      filter {}

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
