"""Exports a trained network to runtimes that serve it faster, and judges them by their answers."""
