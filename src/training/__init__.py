"""Labelled photos in, a model with its card out."""
