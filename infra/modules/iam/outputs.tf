# Written out, so that a plan can show the policies that name it.
output "arn" {
  description = "ARN of the role; what is made with it waits for its policies."
  value       = "arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:role/${aws_iam_role.this.name}"

  depends_on = [aws_iam_role_policy.this]
}

output "name" {
  description = "Name of the role; what is made with it waits for its policies."
  value       = aws_iam_role.this.name

  depends_on = [aws_iam_role_policy.this]
}
