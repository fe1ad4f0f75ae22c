# What lives in the VPC: calls out by TLS, is called by nobody.
resource "aws_security_group" "members" {
  count = local.inside

  description = "Calls AWS by TLS; lets nobody in"
  name        = "${var.name}-members"
  vpc_id      = local.vpc_id

  tags = merge(var.tags, { Name = "${var.name}-members" })
}

# DNS goes to the VPC's resolver, which needs no rule.
resource "aws_vpc_security_group_egress_rule" "members" {
  for_each = local.ways_out

  cidr_ipv4                    = each.value.cidr_ipv4
  description                  = each.value.description
  from_port                    = 443
  ip_protocol                  = "tcp"
  prefix_list_id               = each.value.prefix_list_id
  referenced_security_group_id = each.value.referenced_security_group_id
  security_group_id            = aws_security_group.members[0].id
  to_port                      = 443

  tags = var.tags
}

locals {
  nowhere = { cidr_ipv4 = null, prefix_list_id = null, referenced_security_group_id = null }
  # In an own VPC only its doors; in yours, what your routes allow.
  ways_out = {
    existing = {
      out = merge(local.nowhere, { cidr_ipv4 = "0.0.0.0/0", description = "TLS to AWS" })
    }
    none = {}
    own = local.own == 0 ? {} : {
      doors = merge(local.nowhere, {
        description                  = "TLS to AWS services"
        referenced_security_group_id = aws_security_group.endpoints[0].id
      })
      s3 = merge(local.nowhere, {
        description    = "TLS to S3"
        prefix_list_id = aws_vpc_endpoint.s3[0].prefix_list_id
      })
    }
  }[var.settings.mode]
}

resource "aws_security_group" "endpoints" {
  count = local.own

  description = "The VPC's doors to AWS services"
  name        = "${var.name}-endpoints"
  vpc_id      = local.vpc_id

  tags = merge(var.tags, { Name = "${var.name}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = local.own

  description                  = "TLS from the members"
  from_port                    = 443
  ip_protocol                  = "tcp"
  referenced_security_group_id = aws_security_group.members[0].id
  security_group_id            = aws_security_group.endpoints[0].id
  to_port                      = 443

  tags = var.tags
}
