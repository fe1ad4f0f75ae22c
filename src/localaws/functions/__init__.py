"""Lambda: deployed code, executed in processes of its own."""
