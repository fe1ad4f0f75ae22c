moved {
  from = aws_appautoscaling_policy.invocations
  to   = aws_appautoscaling_policy.traffic
}
