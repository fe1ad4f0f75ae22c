"""A model and a picture in, labels and probabilities out."""
