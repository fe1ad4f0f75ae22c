"""What goes wrong in a run, found while it goes: each finding with its evidence and a remedy."""
