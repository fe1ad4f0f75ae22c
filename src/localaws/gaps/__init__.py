"""Per service: what moto lacks or gets wrong, so that Terraform, the CLI and boto3 work."""
