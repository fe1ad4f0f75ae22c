output "instance_id" {
  description = "The kept instance; null where each run launches its own."
  value       = one([for instance in aws_instance.this : instance.id])
}

output "launch_template_id" {
  description = "The template that instances are launched from."
  value       = aws_launch_template.this.id
}

output "log_group" {
  description = "Where runs write their log."
  value       = aws_cloudwatch_log_group.this.name
}
