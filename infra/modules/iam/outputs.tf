output "arn" {
  description = "ARN of the role, known only once its policies are in place."
  value       = aws_iam_role.this.arn

  depends_on = [aws_iam_role_policy.this]
}

output "name" {
  description = "Name of the role, known only once its policies are in place."
  value       = aws_iam_role.this.name

  depends_on = [aws_iam_role_policy.this]
}
