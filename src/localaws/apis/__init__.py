"""API Gateway: HTTP APIs, answered here."""
