output "bucket" {
  description = "The bucket's name, known only once it refuses clear-text and public access and keeps versions, and what a role needs for its key; null without one."
  value = {
    name        = aws_s3_bucket.this.bucket
    policy_json = one(data.aws_iam_policy_document.key[*].json)
  }

  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_public_access_block.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}
