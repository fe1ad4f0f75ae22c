output "alias" {
  description = "Callers invoke this alias."
  value       = aws_lambda_alias.live.name
}

output "api_url" {
  description = "Address of the HTTP API; callers sign with IAM. Null when there is none."
  value       = var.settings.api == null ? null : "${aws_apigatewayv2_api.this[0].api_endpoint}/"

  depends_on = [aws_apigatewayv2_stage.this, aws_lambda_permission.api]
}

output "batch_dead_letters_url" {
  description = "Queue of the pictures that got no answer for good; null when there is no batch."
  value       = one(aws_sqs_queue.batch_dead_letters[*].url)
}

output "dead_letters_url" {
  description = "Queue of the asynchronous calls that failed for good; null when there is none."
  value       = one(aws_sqs_queue.dead_letters[*].url)
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
