# What lives in the VPC: calls out by TLS, is called by nobody.
resource "aws_security_group" "members" {
  count = local.inside

  description = "Calls AWS by TLS; lets nobody in"
  name        = "${var.name}-members"
  vpc_id      = local.vpc_id

  tags = merge(var.tags, { Name = "${var.name}-members" })
}

resource "aws_vpc_security_group_egress_rule" "members" {
  count = local.inside

  cidr_ipv4         = "0.0.0.0/0"
  description       = "TLS to AWS; DNS goes to the VPC's resolver, which needs no rule"
  from_port         = 443
  ip_protocol       = "tcp"
  security_group_id = aws_security_group.members[0].id
  to_port           = 443

  tags = var.tags
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
