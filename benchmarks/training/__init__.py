"""`make bench-training`: our training beside the usual way, on the same pictures, in one run."""
