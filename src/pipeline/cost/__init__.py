"""What a stage costs: computed from Terraform's plan and a dated table of prices."""
