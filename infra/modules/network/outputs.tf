output "vpc" {
  description = "Where the others live and what their roles need for it; null is AWS's default network."
  value = var.settings.mode == "none" ? null : {
    policy_json        = one(data.aws_iam_policy_document.interfaces[*].json)
    security_group_ids = aws_security_group.members[*].id
    subnet_ids         = local.subnet_ids
  }

  depends_on = [
    aws_route_table_association.private,
    aws_vpc_endpoint.interface,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.members,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}
