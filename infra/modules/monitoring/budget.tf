# Of the whole account: a budget of one tag would stay at zero until somebody activates that tag
# for billing, and would warn of nothing.
resource "aws_budgets_budget" "this" {
  count = var.max_monthly_usd == null ? 0 : 1

  budget_type  = "COST"
  limit_amount = format("%.1f", var.max_monthly_usd)
  limit_unit   = "USD"
  name         = var.name
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = var.alarm_email == null ? {} : { ACTUAL = 80, FORECASTED = 100 }

    content {
      comparison_operator        = "GREATER_THAN"
      notification_type          = notification.key
      subscriber_email_addresses = [var.alarm_email]
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
    }
  }

  tags = var.tags
}
