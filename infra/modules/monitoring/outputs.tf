output "alarm_names" {
  description = "Every alarm, by name."
  value = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.serving : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.training : alarm.alarm_name],
  ))
}

output "topic_arn" {
  description = "Where alarms ring; null when nobody listens."
  value       = one(aws_sns_topic.alarms[*].arn)
}
