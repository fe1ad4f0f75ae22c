"""EC2 instances: user data, SSM commands, services."""
