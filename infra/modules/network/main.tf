data "aws_availability_zones" "this" {
  count = local.own

  state = "available"
}

data "aws_region" "this" {}

locals {
  # Two zones: enough to survive the loss of one, and every interface endpoint is paid per zone.
  zones = {
    a = { cidr_block = cidrsubnet(var.cidr_block, 4, 0), index = 0 }
    b = { cidr_block = cidrsubnet(var.cidr_block, 4, 1), index = 1 }
  }

  # In China some services have a name of their own; the rest are called as everywhere.
  own_name_in_china = ["monitoring", "sagemaker.api", "sagemaker.runtime", "sts"]
  prefixes = {
    for service in concat(["s3"], tolist(var.services)) :
    service => data.aws_partition.this.partition == "aws-cn" && contains(local.own_name_in_china, service) ? "cn.com.amazonaws" : "com.amazonaws"
  }
  service_names = { for service, prefix in local.prefixes : service => "${prefix}.${data.aws_region.this.name}.${service}" }

  inside     = var.settings.mode == "none" ? 0 : 1
  own        = var.settings.mode == "own" ? 1 : 0
  subnet_ids = local.own == 1 ? [for zone in sort(keys(local.zones)) : aws_subnet.private[zone].id] : var.settings.subnet_ids
  vpc_id     = local.own == 1 ? one(aws_vpc.this[*].id) : var.settings.vpc_id
}

resource "aws_vpc" "this" {
  count = local.own

  cidr_block           = var.cidr_block
  enable_dns_hostnames = true
  enable_dns_support   = true

  tags = merge(var.tags, { Name = var.name })
}

# AWS puts one into every VPC that lets its members talk; without rules it lets nobody.
resource "aws_default_security_group" "this" {
  count = local.own

  vpc_id = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-unused" })
}

resource "aws_subnet" "private" {
  for_each = local.own == 1 ? local.zones : {}

  availability_zone = data.aws_availability_zones.this[0].names[each.value.index]
  cidr_block        = each.value.cidr_block
  vpc_id            = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_route_table" "private" {
  count = local.own

  vpc_id = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-private" })
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  route_table_id = aws_route_table.private[0].id
  subnet_id      = each.value.id
}

resource "aws_vpc_endpoint" "s3" {
  count = local.own

  policy            = data.aws_iam_policy_document.s3[0].json
  route_table_ids   = [aws_route_table.private[0].id]
  service_name      = local.service_names["s3"]
  vpc_endpoint_type = "Gateway"
  vpc_id            = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-s3" })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.own == 1 ? var.services : toset([])

  private_dns_enabled = true
  security_group_ids  = [aws_security_group.endpoints[0].id]
  service_name        = local.service_names[each.key]
  subnet_ids          = local.subnet_ids
  vpc_endpoint_type   = "Interface"
  vpc_id              = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-${each.key}" })
}
