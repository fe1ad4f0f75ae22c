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

  # What the members call: SageMaker, logs and metrics, and Systems Manager for the instance.
  interface_services = toset([
    "ec2messages",
    "logs",
    "monitoring",
    "sagemaker.api",
    "sagemaker.runtime",
    "ssm",
    "ssmmessages",
    "sts",
  ])

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

  route_table_ids   = [aws_route_table.private[0].id]
  service_name      = "com.amazonaws.${data.aws_region.this.name}.s3"
  vpc_endpoint_type = "Gateway"
  vpc_id            = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-s3" })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.own == 1 ? local.interface_services : toset([])

  private_dns_enabled = true
  security_group_ids  = [aws_security_group.endpoints[0].id]
  service_name        = "com.amazonaws.${data.aws_region.this.name}.${each.key}"
  subnet_ids          = local.subnet_ids
  vpc_endpoint_type   = "Interface"
  vpc_id              = aws_vpc.this[0].id

  tags = merge(var.tags, { Name = "${var.name}-${each.key}" })
}
