"""Searches hyperparameters on this machine: `make tune`."""
