data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  # Written out, so that a plan can show the policy.
  log_group_arn = "arn:${data.aws_partition.this.partition}:logs:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}:log-group:/aws/lambda/${var.name}"
}

# All the function may do: ask one endpoint, and write its own log.
data "aws_iam_policy_document" "this" {
  statement {
    sid       = "AskTheEndpoint"
    actions   = ["sagemaker:InvokeEndpoint"]
    resources = [var.endpoint.arn]
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.log_group_arn}:log-stream:*"]
  }
}

module "role" {
  source = "../iam"

  description              = "What the Lambda function may do."
  name                     = "${var.name}-function"
  permissions_boundary_arn = var.permissions_boundary_arn
  policies = merge(
    { function = data.aws_iam_policy_document.this.json },
    var.vpc == null ? {} : { network = var.vpc.policy_json },
  )
  service = "lambda.amazonaws.com"
  tags    = var.tags
}

# A signed call of the URL is checked for both actions; they let in this account's callers only,
# and only those whose own policies say so too.
resource "aws_lambda_permission" "url" {
  for_each = {
    invoke     = { action = "lambda:InvokeFunction", auth_type = null }
    invoke_url = { action = "lambda:InvokeFunctionUrl", auth_type = "AWS_IAM" }
  }

  action                 = each.value.action
  function_name          = aws_lambda_function.this.function_name
  function_url_auth_type = each.value.auth_type
  # The account as AWS writes it; its number alone would be replaced at every apply
  # (hashicorp/terraform-provider-aws#30722).
  principal    = "arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:root"
  qualifier    = aws_lambda_alias.live.name
  statement_id = replace(each.key, "_", "-")
}
