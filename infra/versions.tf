terraform {
  required_version = ">= 1.11"

  # The bucket, the key and the lock are given at init: they differ by stage.
  backend "s3" {}

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
