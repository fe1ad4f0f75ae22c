output "image" {
  description = "Full address of the image that jobs run."
  value       = local.image
}

output "role_arn" {
  description = "The role that SageMaker training and tuning jobs run with."
  value       = module.role.arn
}

output "serving_image" {
  description = "Full address of the image of the notebook's endpoint; null where there is none."
  value       = try(local.addresses[1], null)
}
