data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

# The provider does not know every repository of AWS's images; they all are in one registry.
data "aws_sagemaker_prebuilt_ecr_image" "this" {
  repository_name = "pytorch-training"
}

# Terraform has no resource for a training job: the pipeline and the notebook start them, named
# `<name>-...`. What they need beforehand is the role in iam.tf.
locals {
  arn        = "arn:${data.aws_partition.this.partition}"
  account    = "${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  bucket_arn = "${local.arn}:s3:::${var.bucket.name}"

  registry  = split("/", data.aws_sagemaker_prebuilt_ecr_image.this.registry_path)[0]
  given     = concat([var.settings.image], var.serving == null ? [] : [var.serving.image])
  addresses = [for image in local.given : strcontains(image, "/") ? image : "${local.registry}/${image}"]
  image     = local.addresses[0]
  image_parts = [
    for address in local.addresses :
    regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[a-z.]+/(?P<repository>[^:@]+)", address)
  ]
  serving_group = var.serving == null ? [] : ["/aws/sagemaker/Endpoints/${var.serving.endpoint_name}"]
}
