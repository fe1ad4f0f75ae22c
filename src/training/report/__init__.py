"""One page that says how good a model is, why, and how to make it again."""
