data "aws_ssm_parameter" "image" {
  count = var.settings.ami_id == null ? 1 : 0

  name = local.image_parameter
}

data "aws_ami" "this" {
  # A line that is no longer patched is still there for who asks for it.
  include_deprecated = true

  filter {
    name   = "image-id"
    values = [local.image_id]
  }
}

data "aws_vpc" "default" {
  count = var.vpc == null ? 1 : 0

  default = true
}

locals {
  family       = split(".", var.settings.instance_type)[0]
  architecture = can(regex("^(a1|[a-z]+[0-9]+g[a-z]*)$", local.family)) ? "arm64" : "x86_64"

  # The image follows the instance type: NVIDIA's drivers where there is a GPU, a plain and
  # smaller system elsewhere.
  with_gpu = can(regex("^(g|gr|p)[0-9]", local.family))
  image_parameter = (
    local.with_gpu
    ? "/aws/service/deeplearning/ami/${local.architecture}/oss-nvidia-driver-gpu-pytorch-${var.settings.ami_line}/latest/ami-id"
    : "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${local.architecture}"
  )
  image_id = var.settings.ami_id == null ? nonsensitive(data.aws_ssm_parameter.image[0].value) : var.settings.ami_id

  user_data = join("\n", [
    "#!/bin/bash",
    "max_hours=${var.settings.max_hours}",
    file("${path.module}/first_boot.sh"),
  ])
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/training"
  retention_in_days = var.log_retention_days

  tags = var.tags
}

# In the default VPC; in another one it is a member like the rest.
resource "aws_security_group" "this" {
  count = var.vpc == null ? 1 : 0

  description = "Calls AWS and package indexes by TLS; lets nobody in"
  name        = "${var.name}-training"
  vpc_id      = data.aws_vpc.default[0].id

  tags = merge(var.tags, { Name = "${var.name}-training" })
}

resource "aws_vpc_security_group_egress_rule" "tls" {
  count = var.vpc == null ? 1 : 0

  cidr_ipv4         = "0.0.0.0/0"
  description       = "TLS to AWS and package indexes; DNS goes to the VPC's resolver, which needs no rule"
  from_port         = 443
  ip_protocol       = "tcp"
  security_group_id = aws_security_group.this[0].id
  to_port           = 443

  tags = var.tags
}

# Which image was asked for, as opposed to which one AWS published last.
resource "terraform_data" "image" {
  input = var.settings.ami_id == null ? local.image_parameter : var.settings.ami_id
}

resource "aws_launch_template" "this" {
  ebs_optimized                        = true
  image_id                             = local.image_id
  instance_initiated_shutdown_behavior = var.settings.at_end
  instance_type                        = var.settings.instance_type
  name                                 = "${var.name}-training"
  update_default_version               = true
  user_data                            = base64encode(local.user_data)
  vpc_security_group_ids               = var.vpc == null ? aws_security_group.this[*].id : null

  block_device_mappings {
    device_name = data.aws_ami.this.root_device_name

    ebs {
      delete_on_termination = true
      encrypted             = true
      volume_size           = var.settings.volume_gb
      volume_type           = "gp3"
    }
  }

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }

  dynamic "instance_market_options" {
    for_each = var.settings.spot ? ["spot"] : []

    content {
      market_type = instance_market_options.value

      spot_options {
        instance_interruption_behavior = "terminate"
        spot_instance_type             = "one-time"
      }
    }
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_put_response_hop_limit = 1
    http_tokens                 = "required"
  }

  dynamic "network_interfaces" {
    for_each = var.vpc == null ? [] : [var.vpc]

    content {
      associate_public_ip_address = false
      delete_on_termination       = true
      security_groups             = network_interfaces.value.security_group_ids
      subnet_id                   = network_interfaces.value.subnet_ids[0]
    }
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = "${var.name}-training" })
  }

  tag_specifications {
    resource_type = "volume"
    tags          = merge(var.tags, { Name = "${var.name}-training" })
  }

  tags = var.tags

  lifecycle {
    # A newer image of the same line must not replace the box: it may be training. Another
    # line, or an image of your own, does.
    ignore_changes       = [image_id]
    replace_triggered_by = [terraform_data.image]
  }
}

# What terminates at the end of a run is launched from the template for the next one.
resource "aws_instance" "this" {
  for_each = var.settings.at_end == "terminate" ? [] : toset(["on_demand"])

  launch_template {
    id      = aws_launch_template.this.id
    version = "$Default"
  }

  tags        = merge(var.tags, { Name = "${var.name}-training" })
  volume_tags = merge(var.tags, { Name = "${var.name}-training" })

  lifecycle {
    # The template says all of it; EC2 reports it back as the instance's own
    # (hashicorp/terraform-provider-aws#30825), so only a new template counts as a change.
    ignore_changes       = [ami, user_data]
    replace_triggered_by = [aws_launch_template.this.latest_version]
  }

  depends_on = [aws_vpc_security_group_egress_rule.tls, module.role]
}
