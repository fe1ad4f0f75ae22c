output "repository" {
  description = "Address of the repository; with a colon and a tag, of an image."
  value       = local.repository

  depends_on = [aws_ecr_repository.this]
}
