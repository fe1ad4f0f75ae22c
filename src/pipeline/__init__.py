"""Drives AWS: package, upload, deploy, train on EC2, predict."""
