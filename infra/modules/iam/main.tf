resource "aws_iam_role" "this" {
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  description          = var.description
  name                 = var.name
  permissions_boundary = var.permissions_boundary_arn

  tags = var.tags
}

resource "aws_iam_role_policy" "this" {
  for_each = var.policies

  name   = each.key
  policy = each.value
  role   = aws_iam_role.this.name
}
