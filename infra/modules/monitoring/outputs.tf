output "alarm_names" {
  description = "Every alarm, by name."
  value = sort(flatten([
    for alarms in [
      aws_cloudwatch_metric_alarm.endpoint,
      aws_cloudwatch_metric_alarm.function,
      aws_cloudwatch_metric_alarm.training,
      aws_cloudwatch_metric_alarm.unanswered,
    ] : values(alarms)[*].alarm_name
  ]))
}

output "topic_arn" {
  description = "Where alarms ring; null when nobody listens."
  value       = one(aws_sns_topic.alarms[*].arn)
}
