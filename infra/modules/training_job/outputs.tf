output "image" {
  description = "Full address of the image that jobs run."
  value       = local.image
}

output "role_arn" {
  description = "The role that SageMaker training and tuning jobs run with."
  value       = module.role.arn
}
