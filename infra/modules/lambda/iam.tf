data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  # Written out, so that a plan can show the policy.
  log_group_arn = "arn:${data.aws_partition.this.partition}:logs:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}:log-group:/aws/lambda/${var.name}"
}

# All the function may do: ask one endpoint, write its own log, and what its settings ask for.
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

  dynamic "statement" {
    for_each = var.settings.dead_letters ? [local.dead_letters_arn] : []

    # Lambda writes failed asynchronous calls there with this role.
    content {
      sid       = "KeepFailedCalls"
      actions   = ["sqs:SendMessage"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.settings.batch == null ? [] : [local.batch_arn]

    # Lambda fetches the messages about pictures with this role.
    content {
      sid       = "TakePicturesFromQueue"
      actions   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.settings.batch == null ? [] : [var.settings.batch.results_prefix]

    # The pictures themselves are read by the endpoint.
    content {
      sid       = "WriteResults"
      actions   = ["s3:PutObject"]
      resources = ["${local.bucket_arn}/${statement.value}*"]
    }
  }

  dynamic "statement" {
    for_each = var.settings.traced ? ["*"] : []

    # AWS does not scope traces to a resource.
    content {
      sid       = "WriteTraces"
      actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      resources = [statement.value]
    }
  }
}

module "role" {
  source = "../iam"

  description              = "What the Lambda function may do."
  name                     = "${var.name}-function"
  permissions_boundary_arn = var.permissions_boundary_arn
  policies = merge(
    { function = data.aws_iam_policy_document.this.json },
    var.settings.batch == null || var.bucket_policy_json == null ? {} : { bucket = var.bucket_policy_json },
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

# API Gateway lets in who may call this one route; this lets the route in.
resource "aws_lambda_permission" "api" {
  count = var.settings.api == null ? 0 : 1

  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "apigateway.amazonaws.com"
  qualifier     = aws_lambda_alias.live.name
  source_arn    = "${aws_apigatewayv2_api.this[0].execution_arn}/*/POST/"
  statement_id  = "api"
}
