"""`make bench-serving`: our server beside others, on the same model and pictures, in one run."""
