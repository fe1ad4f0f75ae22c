output "alias" {
  description = "Callers invoke this alias."
  value       = aws_lambda_alias.live.name
}

output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "url" {
  description = "Function URL of the alias; callers sign with IAM."
  value       = aws_lambda_function_url.live.function_url

  depends_on = [aws_lambda_permission.url]
}
