data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

# Terraform has no resource for a training job: the pipeline and the notebook start them, named
# `<name>-...`. What they need beforehand is the role in iam.tf.
locals {
  arn        = "arn:${data.aws_partition.this.partition}"
  account    = "${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  bucket_arn = "${local.arn}:s3:::${var.bucket.name}"
}
