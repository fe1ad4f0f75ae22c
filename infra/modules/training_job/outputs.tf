output "role_arn" {
  description = "The role that SageMaker training and tuning jobs run with."
  value       = module.role.arn
}
