# Written out, so that a plan can show the policies that name it.
output "arn" {
  description = "ARN of the endpoint."
  value       = "${local.arn}:sagemaker:${local.account}:endpoint/${aws_sagemaker_endpoint.this.name}"
}

output "model_version" {
  description = "What the endpoint's replies carry."
  value       = local.model_version

  # Only a model that became healthy is the version.
  depends_on = [aws_sagemaker_endpoint.this]
}

output "name" {
  description = "Name of the endpoint."
  value       = aws_sagemaker_endpoint.this.name
}

output "variant" {
  description = "Name of its one production variant."
  value       = local.variant

  # Callers may scale it by then.
  depends_on = [aws_appautoscaling_policy.traffic]
}
